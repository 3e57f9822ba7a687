"""The words of which the names of secrets are made, and the names that HTTP APIs have for them.

The rule: facts alone; `names` tells what they mean. A name is here because an API's documentation or a server's
source has it, under the spelling that it has there.
"""

from __future__ import annotations

import re


def words_of(text: str) -> frozenset[str]:
    """The words of a text, set apart by blanks."""
    return frozenset(text.split())


CORES = words_of(
    """
    accesskey apikey credential credentials csrf jwt motdepasse passcode passphrase passwd password passwords
    passwort privatekey secret secretkey secrets token tokens xsrf
    """
)
"""Words that are found in words written together, and that name a secret whatever follows but a description."""

WORDS = words_of(
    """
    assertion auth authkey authorization cookie cookies cred creds cvc cvc2 cvv cvv2 hmac jsessionid jwt otp
    phpsessid psk pwd samlart samlresponse sessid sessionid sshpass totp
    """
)
"""Heads that are secret whatever stands before them."""

PHRASES = tuple(
    phrase.replace("_", " ")
    for phrase in words_of(
        """
        pass_word pass_phrase pass_code pass_wd api_key api_keys private_key private_keys access_key access_keys
        session_id session_key auth_code authorization_code code_verifier device_code verification_code
        recovery_code recovery_codes backup_codes otp_code totp_code card_number card_pin connection_string
        amz_signature goog_signature oauth_signature hmac_signature shared_access_signature oauth_verifier
        saml_response mot_de_passe
        """
    )
)
"""Words that name a secret together, whatever follows but a description."""

KEYS = words_of(
    """
    access account admin api app application auth aws cert certificate client consumer crypto decryption developer
    encryption functions hapi hmac integration jwt licence license management master oauth preshared private
    rapidapi root sas secret server service session shared sign signing ssl storage stream subscription tls token
    webhook
    """
)
"""What stands before `key` when the key opens something."""

PASSES = words_of(
    """
    account admin basic client confirm current database db email ftp http imap login mail my mysql new old pg pop3
    proxy redis root smtp ssh sudo user vpn wifi wlan
    """
)
"""What stands before `pass` and `pw` when they are short for a password."""

HARMLESS_TOKENS = words_of(
    """
    backward bos cls completion concurrency continuation continue cursor delta end eos fencing first forward
    idempotency input last lock mask max min next output pad page pagination paging per prev previous resume scroll
    sep sequence skip special start starting stop sync unk version
    """
)
"""What stands before `token` when the token is a place in a list, or a piece of text."""

TOKENS_OF = words_of(
    """
    access api auth bearer device id oauth push refresh registration security session
    """
)
"""What stands before `tokens` when they are no pieces of text that a model counts."""

TRANSPARENT = words_of(
    """
    again b64 base64 binary bytes confirm confirmation current data decrypted digest encoded encrypted hash hashed
    hex json md5 new old plain plaintext raw repeat salt str string text v val value values verify
    """
)
"""Last words that leave the thing what it is: the value of a password is one."""

DESCRIPTIONS = words_of(
    """
    address addresses age alg algorithm allowed arn arns at attempt attempts audience author authority available
    bits blank button cache category change changed characters chars check class client color complexity config
    configuration configured cost count counts created date day days decimals default description dir directory
    disabled display enabled endpoint endpoints entered error errors event exists exp expiration expire expired
    expires expiry failed failure failures false field fields file filename fingerprint flag flow form format found
    function generated group guide header headers help helper hidden hint history host hours icon ids in incorrect
    index info input invalid is issued issuer kind label language last len length level lifetime limit limits link
    list location login logo manager matched matches max maximum message messages metadata method methods metrics
    min minimum minutes mismatch missing mode model modified name names needed note number of offset ok on only
    option optional options owner page param parameter parameters params path pattern permission permissions
    placeholder policies policy pool position prefix price prompt provider providers purpose quota rate ratio ref
    reference regex region remaining request requested required requirement requirements reset resource response
    result revoked role roles rotated rotation rule rules schema scope scopes score screen seconds server service
    set settings size source stage standard state states status store strength style subject successful suffix
    supply supported symbol system tab target template test theme time timeout timestamp title tooltip total true
    ttl type types unit updated uri uris url urls usage use used user username users valid validation validator
    validity verification verified version versions view visibility visible warning weak
    """
) - {"bytes"}
"""Last words that say that the value is something else: of a password, its policy."""

QUESTIONS = words_of(
    """
    allow forgot forgotten has hide is needs no num require requires show
    """
)
"""First words of names that ask or tell something about a secret."""

HARMLESS = re.compile(
    r"(?:clientrequesttoken|publickeys?|(?<!access)keyid|authuser|oauthnonce|oauthtimestamp|authtime"
    r"|(?:page|paging|pagination|forward|backward|sequence|starting|next|previous|continuation|continue|sync|delta|skip|cursor|resume|scroll)token"
    r"|(?:cache|surrogate|partition|sort|idempotent|idempotency|primary|foreign|websocket)key)$"
)
"""Ends of names, written together, that are no secrets."""

SECRET_FIELDS = words_of("pass pw routingkey secretid")
"""Names, written together, that are secrets against the rules of words."""

SECRET_ENDS = ("accesskeyid",)
"""Ends of names, written together, that are secrets against the rules of words."""

HEADERS = words_of(
    """
    access-token accesskey api-key api-sign api-token apikey authentication authorization cb-access-key
    cb-access-passphrase cb-access-sign cf-access-client-secret cf-access-jwt-assertion cf-access-token circle-token
    cookie cookie2 csrf-token dd-api-key dd-application-key deploy-token dpop fastly-key jenkins-crumb job-token
    kc-api-key kc-api-passphrase kc-api-sign linear-signature mcp-session-id ocp-apim-subscription-key ok-access-key
    ok-access-passphrase ok-access-sign paypal-transmission-sig private-token proxy-authorization
    sentry-hook-signature set-cookie set-cookie2 signature stripe-signature svix-signature token typeform-signature
    webhook-signature x-access-token x-acs-security-token x-algolia-api-key
    x-amz-copy-source-server-side-encryption-customer-key x-amz-security-token
    x-amz-server-side-encryption-customer-key x-amzn-oidc-accesstoken x-amzn-oidc-data x-amzn-oidc-identity
    x-api-key x-api-secret x-api-token x-apikey x-app-key x-app-token x-appwrite-jwt x-appwrite-key
    x-artifactory-api-key x-auth x-auth-key x-auth-request-access-token x-auth-service-key x-auth-signature
    x-auth-token x-auth-user-token x-authentication x-authorization x-authy-api-key x-bapi-api-key x-bapi-sign
    x-bce-security-token x-bitbucket-signature x-cc-api-key x-cc-webhook-signature x-client-secret x-cmc-pro-api-key
    x-consul-token x-cos-security-token x-csrf x-csrf-token x-csrftoken x-docusign-signature-1 x-dropbox-signature
    x-emby-token x-figma-token x-forwarded-access-token x-forwarded-authorization x-functions-key x-ghost-signature
    x-gitea-signature x-github-token x-gitlab-token x-gogs-signature x-goog-api-key x-goog-channel-token
    x-goog-copy-source-encryption-key x-goog-encryption-key x-goog-iam-authorization-token x-goog-iap-jwt-assertion
    x-hasura-access-key x-hasura-admin-secret x-honeycomb-team x-hook-secret x-hub-signature x-hub-signature-256
    x-hubspot-signature x-hubspot-signature-v3 x-ibm-client-secret x-insert-key x-intercom-signature x-jfrog-art-api
    x-jwt-assertion x-license-key x-line-signature x-mashape-key x-mbx-apikey x-mediabrowser-token x-meili-api-key
    x-ms-authorization-auxiliary x-ms-copy-source-authorization x-ms-encryption-key x-ms-token-aad-access-token
    x-ms-token-aad-id-token x-ms-token-aad-refresh-token x-newrelic-license-key x-nomad-token x-nuget-apikey
    x-obs-security-token x-octopus-apikey x-original-authorization x-oss-security-token x-pagerduty-signature
    x-parse-client-key x-parse-javascript-key x-parse-master-key x-parse-rest-api-key x-parse-session-token
    x-patreon-signature x-plex-token x-postmark-account-token x-postmark-server-token x-pusher-signature
    x-qlik-xrfkey x-query-key x-rapidapi-key x-rapidapi-proxy-secret x-redlock-auth x-redmine-api-key
    x-requestdigest x-riot-token x-rollbar-access-token x-rundeck-auth-token x-sds-auth-token x-secret-key
    x-sentry-auth x-sentry-token x-serverless-authorization x-service-token x-session-id x-session-token x-sessionid
    x-shopify-access-token x-shopify-hmac-sha256 x-shopify-storefront-access-token x-signature x-signature-ed25519
    x-slack-signature x-snyk-token x-square-hmacsha256-signature x-square-signature x-storage-token x-subject-token
    x-tableau-auth x-tba-auth-key x-telegram-bot-api-secret-token x-token x-transmission-session-id x-trello-webhook
    x-twilio-signature x-typesense-api-key x-user-token x-vault-token x-vercel-signature x-wc-webhook-signature
    x-webhook-secret x-webhook-signature x-xero-signature x-xsrf-token x-zendesk-webhook-signature x-zm-signature
    x-zumo-application x-zumo-auth xi-api-key xsrf-token
    """
)
"""Headers that carry secrets, as APIs, proxies and frameworks document them."""

HARMLESS_HEADERS = words_of(
    """
    accept-signature anthropic-ratelimit-tokens-limit anthropic-ratelimit-tokens-remaining authentication-info
    authority cache-key cross-origin-embedder-policy idempotency-key proxy-authenticate proxy-authentication-info
    public-key-pins sec-websocket-key signature-input surrogate-key www-authenticate
    x-amz-server-side-encryption-aws-kms-key-id x-atlassian-token x-auth-method x-auth-type x-auth-user x-cache-key
    x-forwarded-client-cert x-goog-hash x-idempotency-key x-ms-continuation x-ms-documentdb-partitionkey
    x-object-key x-partition-key x-public-key x-ratelimit-limit-tokens x-ratelimit-remaining-tokens x-sort-key
    x-token-type x-tokens-remaining x-tokens-used xkey
    """
)
"""Headers whose names have a secret's word, and whose values are none."""

QUERIES = words_of(
    """
    __cf_chl_tk __gda__ __token__ _sid _wpnonce access_token accesskeyid actor_token api_key apikey appid
    appsecret_proof assertion auth awsaccesskeyid client_assertion code code_verifier crumb device_code devkey
    fb_exchange_token googleaccessid hapikey hdnea hdnea_token hdnst hdntl hdnts hmac id_token_hint input_token
    jsessionid jwt key login_ticket oauth_consumer_key oauth_signature oauth_token oauth_verifier openid.sig
    ossaccesskeyid otp pass pgtid phpsessid policy_signature pw q-ak q-signature samlart samlrequest samlresponse
    security-token sessid sid sig sign signature st_token subject_token subscription-key ticket token user_code
    wa_token wskey x-amz-credential x-amz-security-token x-amz-signature x-cos-security-token x-goog-credential
    x-goog-signature x-ms-signature x-obs-security-token x-obs-signature x-oss-credential x-oss-security-token
    x-oss-signature
    """
)
"""Parameters of URLs that are secret there, though not everywhere: OAuth, SAML, CAS, signed URLs, API keys."""

DOUBTFUL_QUERIES = words_of(
    """
    _sid appid auth code crumb hmac key pass pw samlrequest sid sig sign signature ticket user_code
    """
)
"""Those parameters whose names are anything in a form that a person fills in."""

HARMLESS_HEADER_STARTS = (
    "access-control-",
    "sec-websocket-",
    "x-ratelimit-",
    "ratelimit-",
    "anthropic-ratelimit-",
    "sec-fetch-",
    "sec-ch-",
)
"""How headers begin that are no secrets, whatever their names have."""

HEADER_ENDS = ("-2fa-code", "-login-ticket", "-login-code", "-mfa-code")
"""Ends of headers that are secret, of more than one word."""

HEADER_HEADS = words_of("key auth signature session hmac cookie passcode sessionid jwt pass pin bearer")
"""Last words of headers that are secret: a header `-key` opens something, unlike a field."""
