"""What a SMART client needs to know before it signs in.

https://hl7.org/fhir/smart-app-launch/conformance.html
"""

from __future__ import annotations

from typing import Any


def smart_configuration(site_url: str) -> dict[str, Any]:
    """The document at ``/fhir/.well-known/smart-configuration``; ``site_url`` has no path."""
    return {
        "issuer": site_url,
        "jwks_uri": f"{site_url}/.well-known/jwks.json",
        "token_endpoint": f"{site_url}/oauth/token",
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
        "grant_types_supported": ["client_credentials"],
        "scopes_supported": ["system/*.cruds", "system/*.rs", "system/*.read", "system/*.write", "system/*.*"],
        "code_challenge_methods_supported": ["S256"],
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    }
