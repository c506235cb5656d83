// A small API behind Relatch. GET /orders is for everybody who is signed in, GET /reports for admins.
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.IdentityModel.Tokens;

var builder = WebApplication.CreateBuilder(args);
var issuer = builder.Configuration["RELATCH_URL"] ?? "http://127.0.0.1:8080";
var audience = builder.Configuration["AUDIENCE"] ?? "relatch";

builder.Services.AddHttpClient(nameof(StatusLists), http => http.Timeout = TimeSpan.FromSeconds(5));
builder.Services.AddSingleton(services => new StatusLists(
    services.GetRequiredService<IHttpClientFactory>().CreateClient(nameof(StatusLists)), issuer));

builder.Services
    .AddAuthentication(JwtBearerDefaults.AuthenticationScheme)
    .AddJwtBearer(options =>
    {
        // Discovery and keys come from {issuer}/.well-known/openid-configuration; an unknown key makes them be read again.
        options.Authority = issuer;
        options.RequireHttpsMetadata = issuer.StartsWith("https://", StringComparison.Ordinal);
        options.MapInboundClaims = false;
        options.RefreshInterval = TimeSpan.FromSeconds(5);
        options.AutomaticRefreshInterval = TimeSpan.FromMinutes(5);
        options.TokenValidationParameters = new TokenValidationParameters
        {
            ValidIssuer = issuer,
            ValidAudience = audience,
            ValidTypes = ["at+jwt"],
            // EdDSA is not among what these classes verify.
            ValidAlgorithms = [SecurityAlgorithms.EcdsaSha256, SecurityAlgorithms.RsaSha256],
            ClockSkew = TimeSpan.Zero,
            NameClaimType = "unique_name",
            RoleClaimType = "role",
        };
        options.Events = new JwtBearerEvents
        {
            OnTokenValidated = async context =>
            {
                var lists = context.HttpContext.RequestServices.GetRequiredService<StatusLists>();
                var status = context.Principal!.FindFirst("status")?.Value;
                if (await lists.IsRevokedAsync(status, context.Options, context.HttpContext.RequestAborted))
                {
                    context.Fail("the session has ended");
                }
            },
        };
    });
builder.Services.AddAuthorization();

var app = builder.Build();
app.UseAuthentication();
app.UseAuthorization();
app.MapGet("/orders", (HttpContext http) => new { orders = Array.Empty<string>(), of = http.User.FindFirst("sub")!.Value })
    .RequireAuthorization();
app.MapGet("/reports", (HttpContext http) => new { report = "all is well", @for = http.User.FindFirst("sub")!.Value })
    .RequireAuthorization(policy => policy.RequireRole("Admin"));
app.Run();
