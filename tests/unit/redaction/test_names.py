"""Which names mean a secret."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_har.redaction.names import ANCHORS, Names
from otel_har.redaction.vocabulary import (
    CORES,
    HARMLESS_HEADERS,
    HEADERS,
    KEYS,
    PASSES,
    PHRASES,
    SECRET_ENDS,
    SECRET_FIELDS,
    TOKENS_OF,
    WORDS,
)


def _listed(names: str) -> list[str]:
    return names.split()


SECRET_HEADERS = _listed(
    """
    Authorization Proxy-Authorization Cookie Set-Cookie X-Api-Key Api-Key apikey X-API-Token X-Auth-Token X-Auth-Key
    X-Access-Token X-Amz-Security-Token X-Vault-Token PRIVATE-TOKEN JOB-TOKEN Ocp-Apim-Subscription-Key
    x-functions-key X-Goog-Api-Key X-Goog-Iap-Jwt-Assertion X-CSRF-Token X-CSRFToken X-XSRF-TOKEN Jenkins-Crumb DPoP
    X-Hub-Signature-256 Stripe-Signature X-Slack-Signature X-Shopify-Hmac-Sha256 X-Twilio-Signature X-Gitlab-Token
    X-Pass X-Pin X-2FA-Code X-Login-Ticket X-Bearer
    X-Shopify-Access-Token X-Figma-Token X-RapidAPI-Key X-RapidAPI-Proxy-Secret X-Algolia-API-Key X-Parse-REST-API-Key
    DD-API-KEY DD-APPLICATION-KEY Fastly-Key AccessKey X-Consul-Token X-Nomad-Token X-Subject-Token X-Plex-Token
    X-Redmine-API-Key X-Line-Signature X-Signature-Ed25519 PayPal-Transmission-Sig X-MS-TOKEN-AAD-ACCESS-TOKEN
    X-ZUMO-AUTH x-ms-authorization-auxiliary X-Insert-Key X-License-Key x-amzn-oidc-data CF-Access-Client-Secret
    Cf-Access-Jwt-Assertion X-Session-Id X-Session-Token X-CMC_PRO_API_KEY X-MBX-APIKEY CB-ACCESS-KEY CB-ACCESS-SIGN
    OK-ACCESS-PASSPHRASE KC-API-SIGN X-BAPI-SIGN X-Honeycomb-Team X-Rollbar-Access-Token X-Postmark-Server-Token
    X-Sentry-Auth X-Hasura-Admin-Secret X-Appwrite-Key X-TYPESENSE-API-KEY X-TBA-Auth-Key X-JFrog-Art-Api
    X-NuGet-ApiKey X-Octopus-ApiKey X-Rundeck-Auth-Token X-Tableau-Auth x-acs-security-token x-cos-security-token
    x-oss-security-token x-amz-server-side-encryption-customer-key webhook-signature svix-signature
    X-Telegram-Bot-Api-Secret-Token X-Hook-Secret X-Authorization X-Transmission-Session-Id Circle-Token xi-api-key
    Mcp-Session-Id X-RequestDigest X-Company-Api-Key X-Acme-Secret X-Internal-Token X-My-Password X-Service-Key
    Signature
    """
)

PLAIN_HEADERS = _listed(
    """
    Accept Accept-Encoding Accept-Language Accept-Ranges Access-Control-Allow-Credentials Access-Control-Allow-Headers
    Access-Control-Expose-Headers Access-Control-Request-Headers Age Allow Alt-Svc Authority :authority
    Authentication-Info Cache-Control Cache-Tag CF-Ray Clear-Site-Data Connection Content-Digest Content-Disposition
    Content-Encoding Content-Language Content-Length Content-Location Content-Range Content-Security-Policy
    Content-Type Date Digest Etag Expect Expires Forwarded From Host Idempotency-Key If-Match If-Modified-Since
    If-None-Match Keep-Alive Last-Modified Link Location Max-Forwards NEL Origin Pragma Priority Proxy-Authenticate
    Proxy-Connection Public-Key-Pins Range Referer Referrer-Policy Report-To Retry-After Sec-Ch-Ua Sec-Fetch-Mode
    Sec-WebSocket-Accept Sec-WebSocket-Extensions Sec-WebSocket-Key Sec-WebSocket-Protocol Server Server-Timing
    Strict-Transport-Security Surrogate-Key TE Trailer Transfer-Encoding Upgrade User-Agent Vary Via Warning
    WWW-Authenticate X-Amz-Date X-Amz-Content-Sha256 X-Amz-Request-Id X-Amzn-Trace-Id X-B3-TraceId X-Cache X-Cache-Key
    X-Content-Type-Options X-Correlation-Id X-Forwarded-For X-Forwarded-Proto X-Frame-Options X-Auth-Type X-Auth-User
    X-Powered-By X-RateLimit-Limit-Tokens X-RateLimit-Remaining X-Request-Id X-Requested-With X-Runtime X-Author
    X-Tokenizer anthropic-ratelimit-tokens-remaining traceparent tracestate baggage X-Idempotency-Key Signature-Input
    X-Pass-Through X-Compass X-Keyboard X-Total-Tokens X-Token-Type X-Next-Page-Token x-ms-documentdb-partitionkey
    X-Secretary
    """
)

SECRET_QUERIES = _listed(
    """
    access_token api_key apikey key code sig signature token auth password pass pwd X-Amz-Signature X-Amz-Credential
    X-Amz-Security-Token AWSAccessKeyId Signature X-Goog-Signature X-Goog-Credential GoogleAccessId x-ms-signature
    OSSAccessKeyId x-oss-signature x-oss-security-token q-signature q-ak x-obs-signature hdnts hdnea hdntl __token__
    __gda__ SAMLResponse SAMLRequest SAMLart assertion client_assertion subject_token actor_token id_token_hint
    code_verifier device_code user_code oauth_token oauth_verifier oauth_signature oauth_consumer_key id_token
    refresh_token client_secret appsecret_proof ticket sid session_id jwt hapikey subscription-key _wpnonce hmac crumb
    X%2DAmz%2DSignature access%5Ftoken user%5Bpassword%5D otp appid
    """
)

PLAIN_QUERIES = _listed(
    """
    q query search page page_token pageToken next_token nextPageToken continuation-token cursor limit offset sort
    order state scope response_type redirect_uri client_id grant_type nonce prompt code_challenge
    code_challenge_method X-Amz-Algorithm X-Amz-Date X-Amz-Expires X-Amz-SignedHeaders X-Goog-Algorithm X-Goog-Date sv
    se sp sr spr st Expires Policy author authority authuser keyword keywords keys lang locale country_code zip_code
    status_code codec format type id ids user username email from to since until oauth_nonce oauth_timestamp
    oauth_version oauth_signature_method token_type token_type_hint max_tokens signal monkey compass bypass passenger
    tokenizer RelayState SigAlg public_key idempotency_key
    """
)

SECRET_FIELDS_EXAMPLES = _listed(
    """
    apikeys password Password PASSWORD passwd user[password] a.b.password user.password.value passWord
    pass_phrase accessToken
    access_token access-token ACCESSTOKEN accesstoken clientSecret client_secret clientsecret token api_key apiKey
    APIKey APIkey apikey X-API-KEY secret secrets privateKey private_key aws_secret_access_key accessKeyId
    SecretAccessKey pass user_pass dbPass pwd newpwd mysql_pwd refreshToken idToken csrfToken csrfmiddlewaretoken
    authenticity_token __RequestVerificationToken password_confirmation password2 passwordHash token_v2 auth sessionId
    session_id JSESSIONID PHPSESSID sessid otp totp cvv card_number cardNumber client_assertion userPassword
    userpassword p%61ssword secretString credentials dbPassword SECRET_KEY_BASE api_key_prod connectionString
    subscriptionKey masterKey jwt id_token session_token tokenValue push_tokens access_tokens authToken authtoken
    bot_token passphrase encryption_key resetPasswordToken code_verifier device_code recovery_codes backupCodes
    SAMLResponse x-amz-signature authorization proxyAuthorization http.request.header.authorization
    http.request.header.x-api-key Set-Cookie cookies license_key consumerKey signing_key account_key webhook_secret
    shared_secret app_secret secretKey accountKey secret_id routing_key wpa_psk motDePasse Passwort tls.key
    password[0] credentials[0][secret] oauth_verifier auth_code hmac
    """
)

PLAIN_FIELDS = _listed(
    """
    author authors authority authorized authenticated authorizedAt authType auth_method auth_provider authUrl
    tokenizer tokenize secretary secretariat passenger passengers bypass compass passport passed passing passive
    signal signature monkey donkey turkey keyboard keyword keywords keys key publicKey
    nextForwardToken uploadSequenceToken StartingToken secretArns public_key publickey
    idempotency-key idempotencyKey token_type tokenType expires_in max_tokens maxTokens tokens total_tokens
    prompt_tokens completion_tokens cached_tokens page_token pageToken nextPageToken next_token continuationToken
    syncToken nextSyncToken resume_token eos_token Keep-Alive keep_alive password_policy passwordExpired
    password_min_length forgot_password password_reset_url has_password passwordStrength token_url tokenUri
    token_endpoint token_count tokenAddress tokenId primary_key foreign_key sort_key cache_key partition_key
    object_key key_id kid keyId client_id clientId code status_code countryCode error_code state session sessions
    session_duration nonce oauth_nonce oauth_timestamp encode decode unicode code_challenge code_challenge_method
    discount cardinality postcard cookieConsentVersion cookie_policy optional description hash sha256 md5 etag uuid id
    traceId timestamp url name email username connection connection_id device device_id verified verification_url
    recovered recovery_email assertions pwa passRate pass_count password_field secretName secret_arn access_key_count
    apiVersion api_url author_id masterpiece crossword cred_type mapping shipping
    """
)


@pytest.mark.parametrize("name", SECRET_HEADERS)
def test_secret_header(name: str) -> None:
    """A header that carries a secret is one in any case."""
    names = Names()
    assert [True] * 3 == [names.header(spelling) for spelling in (name, name.lower(), name.upper())]


@pytest.mark.parametrize("name", PLAIN_HEADERS)
def test_plain_header(name: str) -> None:
    """A header that carries none is none in any case."""
    names = Names()
    assert [False] * 3 == [names.header(spelling) for spelling in (name, name.lower(), name.upper())]


@pytest.mark.parametrize("name", SECRET_QUERIES)
def test_secret_query(name: str) -> None:
    """A parameter that carries a secret is one."""
    assert Names().query(name) is True


@pytest.mark.parametrize("name", PLAIN_QUERIES)
def test_plain_query(name: str) -> None:
    """A parameter that carries none is none."""
    assert Names().query(name) is False


@pytest.mark.parametrize("name", SECRET_FIELDS_EXAMPLES)
def test_secret_field(name: str) -> None:
    """A field that carries a secret is one, and its name has an anchor."""
    assert Names().field(name) is True
    assert "%" in name or any(anchor in name.lower() for anchor in ANCHORS)


@pytest.mark.parametrize("name", PLAIN_FIELDS)
def test_plain_field(name: str) -> None:
    """A field that carries none is none, in camel case, in snake case and in kebab case."""
    names = Names()
    assert [False] * 3 == [names.field(name), names.field(name.replace("_", "-")), names.field(f"data.{name}")]


def test_enough_examples() -> None:
    """Each list of secrets has as many examples of what is none; 60 headers at least are known by name."""
    assert len(SECRET_HEADERS) <= len(PLAIN_HEADERS)
    assert len(SECRET_QUERIES) <= len(PLAIN_QUERIES)
    assert len(SECRET_FIELDS_EXAMPLES) <= len(PLAIN_FIELDS)
    assert len(HEADERS) >= 60


@pytest.mark.parametrize("name", sorted(HEADERS))
def test_listed_header(name: str) -> None:
    """A listed header is in the form that is looked up, and is no harmless one too."""
    assert name == name.lower().replace("_", "-")
    assert name not in HARMLESS_HEADERS


def test_anchors_cover_the_vocabulary() -> None:
    """Every word that makes a field secret has an anchor, in every spelling."""
    words = [*CORES, *WORDS, *SECRET_FIELDS, *SECRET_ENDS, *(f"{word}key" for word in KEYS)]
    words += [*(f"{word}pass" for word in PASSES), *(f"{word}tokens" for word in TOKENS_OF)]
    words += [spelling for phrase in PHRASES for spelling in (phrase.replace(" ", ""), phrase.replace(" ", "_"))]
    assert [] == [word for word in words if not any(anchor in word for anchor in ANCHORS)]


def test_extra_names() -> None:
    """Further names count in any spelling, for their kind alone; of parameters, in forms, of fields, for all kinds.

    A header field whose name has several words is secret wherever it stands: nothing else is called so.
    """
    names = Names(extra_headers=["X-Tenant", "Floor"], extra_queries=["customer-number"], extra_fields=["colourCode"])
    kinds = (names.header, names.query, names.form, names.field)
    assert [True, False, False, False] == [kind("floor") for kind in kinds]
    assert [True, True, True, True] == [kind("x_tenant") for kind in kinds]
    assert [False, True, True, False] == [kind("customerNumber") for kind in kinds]
    assert [True, True, True, True] == [kind("colour_code") for kind in kinds]


def test_extra_anchors() -> None:
    """A further field has an anchor that every spelling of it has."""
    names = Names(extra_headers=["X-Tenant", "Größe"], extra_fields=["colourCode", "größe", "...", ""])
    assert ("colour", "größe", "tenant") == names.anchors[len(ANCHORS) :]


def test_extra_header_patterns() -> None:
    """A further header may be a regular expression, as OpenTelemetry's setting has them; a broken one is none."""
    names = Names(extra_headers=[".*tenant.*", "x-(", "X-Exact"])
    assert [True, True, False] == [names.header(name) for name in ("X-Tenant-Id", "x-exact", "x-other")]


def test_kept_names() -> None:
    """A name to keep is no secret, whatever it says, in any spelling."""
    names = Names(extra_fields=["color"], keep=["csrf_token", "Set-Cookie", "color"])
    kept = [names.field("csrfToken"), names.header("SET-COOKIE"), names.query("csrf-token"), names.field("color")]
    assert [False] * 4 == kept


def test_sentences() -> None:
    """A sentence of a catalogue of messages is no name; a label is."""
    names = Names()
    assert names.field("Enter the password that you use for your account") is False
    assert names.field("New password") is True


@given(st.text())
def test_any_name(name: str) -> None:
    """Whatever a name has, there is a verdict, and the same one again."""
    names = Names()
    verdicts = [names.header(name), names.query(name), names.field(name)]
    assert verdicts == [names.header(name), names.query(name), names.field(name)]


@given(st.text(alphabet="abckeysptornd_-.[]%KT0", max_size=40))
def test_secret_names_have_an_anchor(name: str) -> None:
    """A name that is a secret's has an anchor, unless its letters are percent-encoded."""
    assert "%" in name or not Names().field(name) or any(anchor in name.lower() for anchor in ANCHORS)


@pytest.mark.parametrize("piece", ["password", "a.", "aB", "%70", "token", "_", "passsecrettoken", "key"])
def test_long_names(piece: str) -> None:
    """A name of a megabyte is judged by its end, at once, and is not remembered."""
    names = Names()
    name = piece * (1_000_000 // len(piece))
    started = time.process_time()
    for _ in range(20):
        names.field(name)
    assert time.process_time() - started < 1
    assert {} == dict(names._field)


def test_many_names() -> None:
    """Of many names a bounded number is remembered, the last ones among them."""
    names = Names()
    for number in range(10_000):
        names.field(f"name{number}")
        assert f"name{number}" in names._field
        assert len(names._field) <= 4096
