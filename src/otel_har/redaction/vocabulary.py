"""The words of which the names of secrets are made, and the names that HTTP APIs have for them.

The rule: facts alone; `names` tells what they mean. A name is here because an API's documentation or a server's
source has it, under the spelling that it has there.
"""

from __future__ import annotations

import re

CORES = frozenset(
    {
        "password",
        "passwort",
        "passwd",
        "passphrase",
        "passcode",
        "secret",
        "credential",
        "credentials",
        "token",
        "apikey",
        "privatekey",
        "accesskey",
        "secretkey",
        "jwt",
        "csrf",
        "xsrf",
        "passwords",
        "secrets",
        "tokens",
    }
)
"""Words that are found in words written together, and that name a secret whatever follows but a description."""

WORDS = frozenset(
    {
        "pwd",
        "auth",
        "authorization",
        "bearer",
        "cookie",
        "cookies",
        "sessionid",
        "sessid",
        "jsessionid",
        "phpsessid",
        "otp",
        "totp",
        "cvv",
        "cvv2",
        "cvc",
        "cvc2",
        "ssn",
        "hmac",
        "jwt",
        "creds",
        "cred",
        "dsn",
        "mnemonic",
        "assertion",
        "authkey",
        "sas",
        "crumb",
        "sshpass",
        "wpnonce",
        "samlresponse",
        "samlart",
    }
)
"""Heads that are secret whatever stands before them."""

PHRASES = frozenset(
    {
        "pass word",
        "pass phrase",
        "pass code",
        "pass wd",
        "api key",
        "api keys",
        "private key",
        "private keys",
        "access key",
        "access keys",
        "session id",
        "session key",
        "auth code",
        "authorization code",
        "code verifier",
        "device code",
        "verification code",
        "security code",
        "recovery code",
        "recovery codes",
        "backup codes",
        "backup code",
        "otp code",
        "totp code",
        "mfa code",
        "sms code",
        "two factor code",
        "card number",
        "card pin",
        "user pin",
        "pin number",
        "connection string",
        "seed phrase",
        "recovery phrase",
        "webhook url",
        "oauth verifier",
        "oauth signature",
        "amz signature",
        "goog signature",
        "hmac signature",
        "request signature",
        "saml response",
        "client assertion",
        "shared access signature",
    }
)
"""Words that name a secret together, whatever follows but a description."""

KEYS = frozenset(
    {
        "access",
        "account",
        "admin",
        "api",
        "app",
        "application",
        "auth",
        "aws",
        "backup",
        "client",
        "consumer",
        "crypto",
        "customer",
        "decryption",
        "deploy",
        "dev",
        "developer",
        "encryption",
        "function",
        "functions",
        "hapi",
        "hmac",
        "integration",
        "intermediate",
        "jwt",
        "license",
        "licence",
        "live",
        "management",
        "master",
        "oauth",
        "private",
        "rapidapi",
        "root",
        "routing",
        "secret",
        "server",
        "service",
        "session",
        "shared",
        "sign",
        "signing",
        "storage",
        "stream",
        "subscription",
        "sas",
        "test",
        "user",
        "webhook",
        "write",
        "x",
        "xapi",
    }
)
"""What stands before `key` when the key opens something."""

PASSES = frozenset(
    {
        "account",
        "admin",
        "basic",
        "client",
        "confirm",
        "current",
        "database",
        "db",
        "email",
        "ftp",
        "http",
        "imap",
        "login",
        "mail",
        "my",
        "mysql",
        "new",
        "old",
        "pg",
        "pop3",
        "proxy",
        "redis",
        "root",
        "smtp",
        "ssh",
        "sudo",
        "user",
        "vpn",
        "wifi",
        "wlan",
    }
)
"""What stands before `pass` and `pw` when they are short for a password."""

HARMLESS_TOKENS = frozenset(
    {
        "bos",
        "cls",
        "completion",
        "concurrency",
        "continuation",
        "continue",
        "cursor",
        "delta",
        "end",
        "eos",
        "fencing",
        "first",
        "idempotency",
        "last",
        "lock",
        "mask",
        "max",
        "min",
        "next",
        "pad",
        "page",
        "pagination",
        "paging",
        "per",
        "prev",
        "previous",
        "resume",
        "scroll",
        "sep",
        "skip",
        "special",
        "start",
        "stop",
        "sync",
        "unk",
    }
)
"""What stands before `token` when the token is a place in a list, or a piece of text."""

TOKENS_OF = frozenset(
    {"access", "api", "auth", "bearer", "device", "id", "oauth", "push", "refresh", "registration", "security", "session"}
)
"""What stands before `tokens` when they are no pieces of text that a model counts."""

TRANSPARENT = frozenset(
    {
        "again",
        "b64",
        "base64",
        "binary",
        "bytes",
        "confirm",
        "confirmation",
        "current",
        "data",
        "decrypted",
        "digest",
        "encoded",
        "encrypted",
        "hash",
        "hashed",
        "hex",
        "json",
        "md5",
        "new",
        "old",
        "plain",
        "plaintext",
        "raw",
        "repeat",
        "salt",
        "str",
        "string",
        "text",
        "val",
        "value",
        "values",
        "verify",
    }
)
"""Last words that leave the thing what it is: the value of a password is one."""

DESCRIPTIONS = frozenset(
    """
    address addresses age alg algorithm allowed arn at attempt attempts audience authority author available bits
    blank button bytes cache category change changed characters chars check class client color complexity config
    configuration configured cost count counts created date day days decimals default description dir directory disabled display
    enabled endpoint endpoints entered error errors event exists exp expire expired expires expiration expiry
    failed failure failures false field fields file filename fingerprint flag flow form format found function generated
    group guide header headers help helper hidden history hint host hours icon ids in incorrect index info
    input invalid is issued issuer kind label language last length len level lifetime limit limits link list
    location login logo manager matched matches max maximum message messages metadata method methods metrics
    min minimum minutes missing mismatch mode model modified name names needed note number of offset ok on
    only option optional options owner page param parameter parameters params path pattern permission
    permissions placeholder policies policy pool position prefix price prompt provider providers purpose
    quota rate ratio ref reference regex region remaining request requested required requirement requirements
    reset resource response result revoked role roles rotated rotation rule rules schema scope scopes score
    screen seconds server service set settings size source stage standard state states status store strength
    style subject successful suffix supported supply symbol system tab target template test theme
    time timeout timestamp title tooltip total true ttl type types unit updated uri uris url urls usage use
    used user username users validation validator valid validity verification verified version versions view visibility
    visible warning weak
    """.split()
) - {"bytes"}
"""Last words that say that the value is something else: of a password, its policy."""

QUESTIONS = frozenset({"allow", "forgot", "forgotten", "has", "hide", "is", "needs", "no", "num", "require", "requires", "show"})
"""First words of names that ask or tell something about a secret."""

HARMLESS = re.compile(
    r"(?:clientrequesttoken|publickey|publickeys|keyid|idempotencykey|authuser|oauthnonce|oauthtimestamp"
    r"|(?:page|paging|pagination|next|previous|continuation|continue|sync|delta|skip|cursor|resume|scroll)token"
    r"|(?:cache|surrogate|partition|sort|idempotent|idempotency|routing|primary|foreign|websocket)key"
    r"|authtime)$"
)
"""Ends of names, written together, that are no secrets."""

SECRET_FIELDS = frozenset(
    {
        "accesskeyid",
        "awsaccesskeyid",
        "secretid",
        "secretaccesskey",
        "pagesecrettoken",
        "routingkey",
        "pass",
        "pw",
    }
)
"""Names, written together, that are secrets against the rules of words."""

HEADERS = frozenset(
    """
    authorization proxy-authorization cookie cookie2 set-cookie set-cookie2 x-api-key api-key apikey x-apikey
    x-api-token api-token x-api-secret x-app-key x-app-token x-access-token access-token x-auth-token x-auth-key
    x-auth-user-token x-auth-email-token x-amz-security-token x-amz-content-signature x-vault-token private-token
    job-token deploy-token ocp-apim-subscription-key x-functions-key x-goog-api-key x-goog-iap-jwt-assertion
    x-csrf-token x-csrftoken x-xsrf-token csrf-token xsrf-token x-csrf jenkins-crumb dpop x-hub-signature
    x-hub-signature-256 stripe-signature x-slack-signature x-shopify-hmac-sha256 x-twilio-signature
    x-gitlab-token x-shopify-access-token x-shopify-storefront-access-token x-okta-user-agent-token
    x-figma-token x-riot-token x-rapidapi-key x-rapidapi-proxy-secret x-mashape-key x-algolia-api-key
    x-parse-rest-api-key x-parse-master-key x-parse-session-token x-parse-javascript-key x-parse-client-key
    dd-api-key dd-application-key fastly-key accesskey x-consul-token x-nomad-token x-subject-token
    x-storage-token x-service-token x-plex-token x-emby-token x-mediabrowser-token x-redmine-api-key
    x-trello-webhook x-line-signature x-signature x-signature-ed25519 paypal-transmission-sig
    x-ms-token-aad-access-token x-ms-token-aad-id-token x-ms-token-aad-refresh-token x-zumo-auth
    x-zumo-application x-ms-authorization-auxiliary x-newrelic-id x-insert-key x-license-key x-query-key
    x-github-token x-jwt-assertion x-amzn-oidc-data x-amzn-oidc-accesstoken x-amzn-oidc-identity
    x-forwarded-access-token x-auth-request-access-token x-auth-request-email-token cf-access-client-secret
    cf-access-jwt-assertion cf-access-token x-auth-service-key x-session-id x-session-token x-sessionid
    x-user-token x-client-secret x-secret-key x-cmc_pro_api_key x-cmc-pro-api-key x-mbx-apikey cb-access-key
    cb-access-sign cb-access-passphrase ok-access-key ok-access-sign ok-access-passphrase api-sign kc-api-key
    kc-api-sign kc-api-passphrase x-bapi-api-key x-bapi-sign x-elastic-api-key x-pagerduty-token
    x-pagerduty-signature x-honeycomb-team x-rollbar-access-token x-postmark-server-token
    x-postmark-account-token x-sendgrid-token x-square-hmacsha256-signature x-square-signature
    x-datadog-api-key x-sentry-auth x-sentry-token sentry-hook-signature x-hasura-admin-secret
    x-hasura-access-key x-appwrite-key x-appwrite-jwt x-supabase-auth x-typesense-api-key x-meili-api-key
    x-tba-auth-key x-snyk-token x-artifactory-api-key x-jfrog-art-api x-nuget-apikey x-octopus-apikey
    x-rundeck-auth-token x-tableau-auth x-qlik-xrfkey x-yt-authorization x-atlassian-token-secret x-acs-security-token
    x-cos-security-token x-oss-security-token x-obs-security-token x-bce-security-token x-sds-auth-token
    x-ms-encryption-key x-amz-server-side-encryption-customer-key
    x-amz-copy-source-server-side-encryption-customer-key x-goog-encryption-key x-goog-copy-source-encryption-key
    x-dropbox-signature x-zm-signature x-zendesk-webhook-signature x-wc-webhook-signature x-intercom-signature
    x-docusign-signature-1 x-mailgun-signature webhook-signature svix-signature linear-signature
    x-vercel-signature x-netlify-token x-webhook-signature x-webhook-secret x-telegram-bot-api-secret-token
    x-amz-sns-signature x-bitbucket-signature x-gitea-signature x-gogs-signature x-hook-secret
    x-newrelic-license-key x-browserless-token x-token token x-authorization x-forwarded-authorization
    x-original-authorization x-serverless-authorization authentication x-authentication x-auth
    x-transmission-session-id x-openstack-session x-splunk-token splunk-session x-grafana-token
    x-dynatrace-token x-anypnt-token x-ibm-client-secret x-ibm-client-id-secret x-requestdigest
    x-forwarded-client-cert x-client-cert x-ssl-client-cert ssl-client-cert cookie-secret mcp-session-id
    """.split()
)
"""Headers that carry secrets, as APIs, proxies and frameworks document them."""

HARMLESS_HEADERS = frozenset(
    """
    idempotency-key x-idempotency-key surrogate-key xkey x-cache-key cache-key sec-websocket-key www-authenticate
    proxy-authenticate authentication-info proxy-authentication-info x-amz-server-side-encryption-aws-kms-key-id
    x-ms-documentdb-partitionkey x-atlassian-token x-auth-type x-auth-user x-auth-method x-goog-hash x-public-key
    authority signature-input x-ms-continuation x-ms-session-token-consistency cross-origin-embedder-policy
    public-key-pins x-token-type x-tokens-remaining x-tokens-used anthropic-ratelimit-tokens-limit
    anthropic-ratelimit-tokens-remaining x-ratelimit-limit-tokens x-ratelimit-remaining-tokens x-sort-key
    x-object-key x-partition-key x-signal
    """.split()
)
"""Headers whose names have a secret's word, and whose values are none."""

QUERIES = frozenset(
    """
    code key sig sign signature sid pass pw ticket pgtid crumb hmac hash_hmac jwt auth appid sessid _sid
    x-amz-signature x-amz-credential x-amz-security-token awsaccesskeyid x-goog-signature x-goog-credential
    googleaccessid x-ms-signature ossaccesskeyid x-oss-signature x-oss-credential x-oss-security-token
    security-token x-cos-security-token q-signature q-ak x-obs-signature x-obs-security-token accesskeyid
    hdnts hdnea hdntl hdnst __token__ __gda__ hdnea_token policy_signature samlrequest samlresponse samlart
    assertion client_assertion subject_token actor_token id_token_hint code_verifier device_code user_code
    oauth_token oauth_verifier oauth_signature oauth_consumer_key appsecret_proof openid.sig wskey devkey hapikey
    subscription-key _wpnonce wa_token st_token login_ticket magic otp
    """.split()
)
"""Parameters of URLs that are secret there, though not everywhere: OAuth, SAML, CAS, signed URLs, API keys."""
