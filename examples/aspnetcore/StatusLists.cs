using System.Collections.Concurrent;
using System.IO.Compression;
using System.Net.Http.Headers;
using System.Text.Json;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

/// <summary>Token status lists: each is fetched anew when its <c>ttl</c> is over, by one request however many ask.</summary>
public sealed class StatusLists(HttpClient http, string issuer)
{
    /// <summary>A list has at most 2^20 entries of one bit; what inflates to more is not one of Relatch's.</summary>
    private const int BytesMax = 131_072;

    private sealed record Kept(byte[] Bits, EntityTagHeaderValue? ETag, TimeSpan Ttl, DateTimeOffset FreshUntil, DateTimeOffset ExpiresAt);

    private sealed class Slot
    {
        public readonly SemaphoreSlim Gate = new(1, 1);
        public volatile Kept? Kept;
    }

    private readonly ConcurrentDictionary<string, Slot> slots = new();

    /// <summary>Whether the entry that the claim <c>status</c> points to is set. Throws when nobody can tell now.</summary>
    public async Task<bool> IsRevokedAsync(string? status, JwtBearerOptions options, CancellationToken cancelled)
    {
        // Tokens of service accounts have no status: an API that takes those too answers false here.
        if (status is null) return true;
        var reference = JsonDocument.Parse(status).RootElement.GetProperty("status_list");
        var (uri, index) = (reference.GetProperty("uri").GetString()!, reference.GetProperty("idx").GetInt32());
        if (!uri.StartsWith(issuer + "/", StringComparison.Ordinal)) return true;
        var slot = slots.GetOrAdd(uri, _ => new Slot());
        if (slot.Kept is not { } kept || DateTimeOffset.UtcNow >= kept.FreshUntil)
        {
            await slot.Gate.WaitAsync(cancelled);
            try
            {
                kept = slot.Kept;
                if (kept is null || DateTimeOffset.UtcNow >= kept.FreshUntil)
                {
                    try
                    {
                        slot.Kept = kept = await FetchAsync(uri, kept, options, cancelled);
                    }
                    catch (Exception) when (kept is not null && DateTimeOffset.UtcNow < kept.ExpiresAt)
                    {
                        // An old list is better than none, until it says itself that it is too old.
                    }
                }
            }
            finally
            {
                slot.Gate.Release();
            }
        }
        // An entry that is not there is no better than one that is set.
        return index < 0 || index >= kept!.Bits.Length * 8 || ((kept.Bits[index >> 3] >> (index & 7)) & 1) == 1;
    }

    private async Task<Kept> FetchAsync(string uri, Kept? last, JwtBearerOptions options, CancellationToken cancelled)
    {
        var asked = DateTimeOffset.UtcNow;
        using var request = new HttpRequestMessage(HttpMethod.Get, uri);
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/statuslist+jwt"));
        if (last?.ETag is not null) request.Headers.IfNoneMatch.Add(last.ETag);
        using var answer = await http.SendAsync(request, cancelled);
        if (answer.StatusCode == System.Net.HttpStatusCode.NotModified) return last! with { FreshUntil = asked + last.Ttl };
        answer.EnsureSuccessStatusCode();

        var keys = await options.ConfigurationManager!.GetConfigurationAsync(cancelled);
        var rules = new TokenValidationParameters
        {
            ValidTypes = ["statuslist+jwt"],
            ValidateAudience = false,
            ValidateIssuer = false,
            ValidAlgorithms = options.TokenValidationParameters.ValidAlgorithms,
            IssuerSigningKeys = keys.SigningKeys,
            ClockSkew = TimeSpan.Zero,
        };
        var result = await new JsonWebTokenHandler().ValidateTokenAsync(await answer.Content.ReadAsStringAsync(cancelled), rules);
        if (!result.IsValid) throw new InvalidDataException("the status list is not genuine", result.Exception);
        var token = (JsonWebToken)result.SecurityToken;
        var list = token.GetPayloadValue<JsonElement>("status_list");
        if (token.Subject != uri || list.GetProperty("bits").GetInt32() != 1) throw new InvalidDataException("this is another status list");

        var bits = new byte[BytesMax];
        await using var inflated = new ZLibStream(
            new MemoryStream(Base64UrlEncoder.DecodeBytes(list.GetProperty("lst").GetString())), CompressionMode.Decompress);
        var length = await inflated.ReadAtLeastAsync(bits, BytesMax, throwOnEndOfStream: false, cancelled);
        var ttl = TimeSpan.FromSeconds(token.TryGetPayloadValue<long>("ttl", out var seconds) ? Math.Max(1, seconds) : 15);
        return new Kept(bits[..length], answer.Headers.ETag, ttl, asked + ttl, token.ValidTo);
    }
}
