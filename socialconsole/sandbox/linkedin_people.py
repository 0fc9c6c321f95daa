"""The built-in people of LinkedIn and the Pages they look after, odd cases among them."""

from .plays import Person

PLATFORM = "linkedin"
ACME, LABS, CLUB, HARBOUR, STUDIO = "5583111", "5583112", "5583113", "5583114", "5583115"

PEOPLE = (
    Person(PLATFORM, "jane-doe", "Jane Doe", "janedoe", "jane@example.com", facts={"organizations": (
        {"id": ACME, "name": "Acme", "vanity": "acme", "role": "ADMINISTRATOR"},
        {"id": LABS, "name": "Acme Labs", "vanity": "acme-labs", "role": "CONTENT_ADMINISTRATOR",
         "spelling": "organizationalTarget"},
        {"id": CLUB, "name": "Rowing Club", "vanity": "rowing-club", "role": "ANALYST"},
        {"id": HARBOUR, "name": "Harbour Trust", "vanity": "harbour-trust", "role": "ADMINISTRATOR",
         "state": "REQUESTED"},
        {"id": STUDIO, "name": "Studio North", "vanity": "studio-north", "role": "DIRECT_SPONSORED_CONTENT_POSTER",
         "spelling": "organizationTarget"},
    )}),
    # Looks after no Page at all.
    Person(PLATFORM, "omar-said", "Omar Said", "omarsaid", "omar@example.com"),
    # Has a role, but none that allows posting.
    Person(PLATFORM, "lena-roth", "Lena Roth", "lenaroth", "lena@example.com", facts={"organizations": (
        {"id": CLUB, "name": "Rowing Club", "vanity": "rowing-club", "role": "CURATOR"},)}),
)
