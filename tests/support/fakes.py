"""Stand-ins for libraries that need not be installed: real modules, written for one test."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

BOTOCORE = {
    "botocore/__init__.py": "",
    "botocore/exceptions.py": """
class BotoCoreError(Exception): pass
class ConnectionError(BotoCoreError): pass
class HTTPClientError(BotoCoreError): pass
class MetadataRetrievalError(BotoCoreError): pass
class UnauthorizedSSOTokenError(BotoCoreError): pass
""",
    "botocore/session.py": """
profiles, found = [], []        # what was asked for; what is answered, the last one again and again
class Session:
    def __init__(self, profile=None):
        profiles.append(profile)
    def get_credentials(self):
        answer = found.pop(0) if len(found) > 1 else found[0]
        if isinstance(answer, Exception):
            raise answer
        return answer
""",
}
"""botocore, as far as the signer uses it."""

GOOGLE_AUTH = {
    "google/__init__.py": "",
    "google/auth/__init__.py": """
asked, found = [], []
def default(scopes=None, request=None):
    asked.append((tuple(scopes), type(request).__name__))
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0], "a-project"
""",
    "google/auth/exceptions.py": """
class GoogleAuthError(Exception):
    def __init__(self, *args, retryable=False):
        super().__init__(*args)
        self.retryable = retryable
class TransportError(GoogleAuthError): pass
class TimeoutError(GoogleAuthError): pass
class RefreshError(GoogleAuthError): pass
class DefaultCredentialsError(GoogleAuthError): pass
""",
    "google/auth/transport/__init__.py": "",
    "google/auth/transport/requests.py": "class Request: pass",
    "requests/__init__.py": "",
}
"""google-auth, as far as the signer uses it."""

AZURE_IDENTITY = {
    "azure/__init__.py": "",
    "azure/core/__init__.py": "",
    "azure/core/exceptions.py": """
class AzureError(Exception): pass
class ServiceRequestError(AzureError): pass
class ServiceResponseError(AzureError): pass
class ClientAuthenticationError(AzureError): pass
""",
    "azure/identity/__init__.py": """
made, asked, found = [], [], []
class DefaultAzureCredential:
    def __init__(self):
        made.append(self)
    def get_token(self, *scopes):
        asked.append(scopes)
        answer = found.pop(0) if len(found) > 1 else found[0]
        if isinstance(answer, Exception):
            raise answer
        return answer
""",
}
"""azure-identity, as far as the signer uses it."""


@contextmanager
def installed(folder: Path, files: Mapping[str, str]) -> Iterator[None]:
    """Has these modules found instead of any others of their names."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    tops = {name.partition("/")[0] for name in files}
    others = _unloaded(tops)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        _unloaded(tops)
        sys.modules.update(others)


def _unloaded(tops: set[str]) -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] in tops]
    return {name: sys.modules.pop(name) for name in names}
