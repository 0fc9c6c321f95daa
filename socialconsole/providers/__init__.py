"""All platforms the console knows, written out by hand in the order people see them."""

from .base import Provider
from .facebook import Facebook
from .instagram import Instagram
from .linkedin import LinkedIn
from .oauth2 import CONNECTABLE, OAuth2Provider
from .oauth2 import connectable as connectable
from .threads import Threads
from .tiktok import TikTok
from .twitter import Twitter
from .youtube import YouTube

PROVIDERS: dict[str, Provider] = {
    "facebook": Facebook(),
    "instagram": Instagram(),
    "linkedin": LinkedIn(),
    "twitter": Twitter(),
    "tiktok": TikTok(),
    "threads": Threads(),
    "youtube": YouTube(),
}
CONNECTABLE.update({slug: one for slug, one in PROVIDERS.items() if isinstance(one, OAuth2Provider)})


def provider(slug: str) -> Provider:
    """The provider of a platform; raises KeyError for a platform the console does not know."""
    return PROVIDERS[slug]
