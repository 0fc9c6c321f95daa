"""A client of Social Console's API, for Python 3.11 and later; needs nothing else.

    from socialconsole_client import Client
    console = Client("https://social.example.com", key)
    for account in console.list_accounts(workspace_id)["data"]:
        print(account["displayName"], account["status"])

Written by scripts/make_client.py from the OpenAPI document; change that, not this.
"""

import json
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, cast


class Problem(Exception):
    """What the console answers where something is wrong: `code` never changes, `errors` names fields."""

    def __init__(self, status: int, plain: Mapping[str, Any]) -> None:
        super().__init__(str(plain.get("detail") or status))
        self.status, self.code = status, str(plain.get("code", ""))
        self.errors: list[dict[str, str]] = list(plain.get("errors", ()))
        self.plain = dict(plain)


class AbilityShape(TypedDict):
    """Something a profile can do, or what is missing for it."""

    name: str
    label: str
    on: bool
    missingScopes: list[str]


class FaultShape(TypedDict):
    """What is wrong with a field."""

    field: str
    message: str


class AccountCheck(TypedDict):
    """What one profile makes of a post."""

    accountId: str
    platform: str
    ok: bool
    format: str
    count: int
    limit: int
    countedAs: str
    problems: list[FaultShape]
    notes: list[str]


class AccountShape(TypedDict):
    """A connected profile."""

    id: str
    workspaceId: str
    platform: str
    kind: str
    username: str
    displayName: str
    profileUrl: str
    status: str
    reason: str
    sandbox: bool
    connectedAt: str
    lastSyncedAt: str | None
    expiresAt: str | None
    nextRenewalAt: str | None
    grantedScopes: list[str]
    missingScopes: list[str]
    abilities: list[AbilityShape]
    metadata: dict[str, Any]


class AccountList(TypedDict):
    """A page of profiles."""

    data: list[AccountShape]
    nextCursor: str | None


class AddressBody(TypedDict):
    """Where a file lies."""

    url: str
    keep: NotRequired[bool]
    altText: NotRequired[str]


class AppShape(TypedDict):
    """An app of a platform, as its admin sees it. Never its secret."""

    platform: str
    segment: str
    state: str
    label: str
    why: str
    accounts: int
    canTurnOn: bool
    whyNot: str


class AppList(TypedDict):
    """The apps of all platforms."""

    data: list[AppShape]
    nextCursor: NotRequired[str | None]
    readAt: str


class ApproveBody(TypedDict):
    """When an approved post goes out, if not at its own time."""

    scheduledAt: NotRequired[str | None]
    wallTime: NotRequired[str | None]


class ConnectBody(TypedDict):
    """What a program may have hoped for."""

    platform: NotRequired[str]


class ConnectLinkBody(TypedDict):
    """A link with which somebody connects a new profile."""

    life: NotRequired[Literal["hour", "day", "days", "week"]]
    note: NotRequired[str]
    platform: NotRequired[str]


class DeletedPost(TypedDict):
    """What deleting achieved."""

    id: str
    state: str
    cancelled: int
    deletedAtPlatform: int


class DeliveryShape(TypedDict):
    """One post to one profile: what became of it."""

    id: str
    postId: str
    accountId: str
    accountName: str
    platform: str
    state: str
    reason: str
    errorCode: str
    heldBy: str
    format: str
    options: dict[str, str]
    scheduledFor: str
    nextAt: str | None
    attempts: int
    sentAt: str | None
    publishedAt: str | None
    permalink: str
    platformPostId: str
    partsOut: int
    warning: str
    confirmedBy: str
    deletedAt: str | None


class DisconnectedShape(TypedDict):
    """What disconnecting achieved."""

    id: str
    status: str
    revocation: str
    sentence: str
    settled: bool


class DryRun(TypedDict):
    """What would happen. Nothing was written."""

    dryRun: NotRequired[bool]
    ok: bool
    wouldBe: str
    scheduledAt: str | None
    errors: list[FaultShape]
    accounts: list[AccountCheck]


class EventShape(TypedDict):
    """Something that happened: who did what to which."""

    id: str
    at: str
    action: str
    summary: str
    by: str
    subjectType: str
    subjectId: str
    subjectName: str


class EventList(TypedDict):
    """A page of what happened, the newest first."""

    data: list[EventShape]
    nextCursor: str | None


class FormatShape(TypedDict):
    """One kind of post and what it takes."""

    name: str
    label: str
    takes: list[str]
    leastFiles: int
    mostFiles: int
    needsText: bool
    textLimit: int | None
    altTextLimit: int
    note: str


class LinkBody(TypedDict):
    """How long a link holds, and for whom it is."""

    life: NotRequired[Literal["hour", "day", "days", "week"]]
    note: NotRequired[str]


class LinkShape(TypedDict):
    """A link for a person. Its address is told now and never again."""

    id: str
    url: str
    expiresAt: str


class MediaChange(TypedDict):
    """What is left out stays as it is."""

    altText: NotRequired[str | None]
    kept: NotRequired[bool | None]


class MediaShape(TypedDict):
    """A file with its measured facts. 0 or null: not measured, or it has none."""

    id: str
    workspaceId: str
    kind: str
    type: str
    name: str
    size: int
    width: int
    height: int
    seconds: float | None
    frameRate: float | None
    frames: int
    pages: int
    altText: str
    kept: bool
    sha256: str
    createdAt: str


class MediaList(TypedDict):
    """A page of files, the newest first."""

    data: list[MediaShape]
    nextCursor: str | None


class OptionShape(TypedDict):
    """A choice of the platform's own, sent in `options` of a delivery."""

    name: str
    label: str
    kind: str
    choices: list[str]
    required: bool
    formats: list[str]
    help: str


class PartShape(TypedDict):
    """A further part of a thread."""

    text: NotRequired[str]
    media: NotRequired[list[str]]


class PerformedShape(TypedDict):
    """What was done at once, since the key may act without asking a person."""

    state: NotRequired[str]
    status: int
    result: dict[str, Any]


class RequestShape(TypedDict):
    """The call that a plan stands for."""

    method: Literal["POST", "PATCH", "DELETE"]
    path: str
    body: NotRequired[dict[str, Any] | None]


class PlanBody(TypedDict):
    """What shall be done, if a person agrees."""

    action: str
    request: RequestShape
    summary: NotRequired[str]


class PlanShape(TypedDict):
    """A plan and how it stands."""

    id: str
    action: str
    summary: str
    state: str
    url: str
    createdAt: str
    expiresAt: str
    decidedAt: str | None
    decidedBy: str
    result: dict[str, Any]


class PlatformShape(TypedDict):
    """One platform as this console has it."""

    platform: str
    name: str
    on: bool
    whyOff: str
    textLimit: int
    textCountedAs: str
    formats: list[FormatShape]
    options: list[OptionShape]


class PlatformList(TypedDict):
    """All platforms."""

    data: list[PlatformShape]
    nextCursor: NotRequired[str | None]


class PollShape(TypedDict):
    """A question with answers to choose from."""

    question: NotRequired[str]
    options: list[str]
    minutes: NotRequired[int]


class VariationShape(TypedDict):
    """What one profile publishes instead of the common text."""

    text: str
    firstComment: NotRequired[str | None]
    chain: NotRequired[bool]


class PostBody(TypedDict):
    """A new post."""

    accountIds: NotRequired[list[str] | None]
    text: NotRequired[str | None]
    media: NotRequired[list[str] | None]
    altTexts: NotRequired[dict[str, Any] | None]
    variations: NotRequired[dict[str, Any] | None]
    parts: NotRequired[list[PartShape] | None]
    poll: NotRequired[PollShape | None]
    firstComment: NotRequired[str | None]
    formats: NotRequired[dict[str, Any] | None]
    options: NotRequired[dict[str, Any] | None]
    when: NotRequired[Literal["now", "later", "queue"] | None]
    scheduledAt: NotRequired[str | None]
    wallTime: NotRequired[str | None]
    repeat: NotRequired[Literal["never", "day", "week", "month"] | None]
    lastDay: NotRequired[str | None]
    again: NotRequired[bool]
    dryRun: NotRequired[bool]
    draft: NotRequired[bool]


class PostChange(TypedDict):
    """A change of a post. What is left out stays as it is."""

    accountIds: NotRequired[list[str] | None]
    text: NotRequired[str | None]
    media: NotRequired[list[str] | None]
    altTexts: NotRequired[dict[str, Any] | None]
    variations: NotRequired[dict[str, Any] | None]
    parts: NotRequired[list[PartShape] | None]
    poll: NotRequired[PollShape | None]
    firstComment: NotRequired[str | None]
    formats: NotRequired[dict[str, Any] | None]
    options: NotRequired[dict[str, Any] | None]
    when: NotRequired[Literal["now", "later", "queue"] | None]
    scheduledAt: NotRequired[str | None]
    wallTime: NotRequired[str | None]
    repeat: NotRequired[Literal["never", "day", "week", "month"] | None]
    lastDay: NotRequired[str | None]
    again: NotRequired[bool]
    dryRun: NotRequired[bool]
    draft: NotRequired[bool | None]


class PostShape(TypedDict):
    """A post. Its outcome is that of its deliveries."""

    id: str
    workspaceId: str
    state: str
    version: int
    text: str
    media: list[str]
    altTexts: dict[str, str]
    variations: dict[str, VariationShape]
    parts: list[PartShape]
    poll: PollShape | None
    firstComment: str
    accountIds: list[str]
    when: str
    scheduledAt: str | None
    wallTime: str
    timeZone: str
    repeats: bool
    author: str
    reviewNote: str
    submittedBy: str
    reviewedBy: str
    createdAt: str
    updatedAt: str | None
    counts: dict[str, int]
    deliveries: list[DeliveryShape]


class PostList(TypedDict):
    """A page of posts, the newest first; within a period by their time, the latest first."""

    data: list[PostShape]
    nextCursor: str | None


class RescheduleBody(TypedDict):
    """The new time of a delivery: one of both."""

    scheduledAt: NotRequired[str | None]
    wallTime: NotRequired[str | None]


class SendBackBody(TypedDict):
    """What should change."""

    note: str


class UploadBody(TypedDict):
    """A file that will arrive in pieces."""

    name: NotRequired[str]
    size: int
    keep: NotRequired[bool]


class UploadShape(TypedDict):
    """How far an upload is."""

    id: str
    name: str
    offset: int
    size: int
    piece: int
    state: str
    problem: str
    media: MediaShape | None


class WorkspaceShape(TypedDict):
    """A workspace: the tenant that owns profiles and posts."""

    id: str
    name: str
    timeZone: str
    windowMinutes: int
    needsApproval: bool
    queuePaused: bool
    accounts: int
    accountLimit: int | None
    createdAt: str


class WorkspaceList(TypedDict):
    """The workspaces of a key: its own, or for an admin's key all."""

    data: list[WorkspaceShape]
    nextCursor: NotRequired[str | None]


class Client:
    """One console and one key. Each call raises Problem where the console refuses it.

    Every POST carries an Idempotency-Key of its own; give one yourself to repeat a request safely.
    """

    def __init__(self, address: str, key: str, timeout: float = 60) -> None:
        self._address, self._key, self._timeout = address.rstrip("/"), key, timeout

    def _ask(self, method: str, path: str, query: Mapping[str, Any], body: Any = None, content: bytes | None = None,
             headers: Mapping[str, str | int | None] | None = None) -> Any:
        given = {name: str(value).lower() if isinstance(value, bool) else value for name, value in query.items()
                 if value is not None}
        sent = {"Authorization": f"Bearer {self._key}", "Accept": "application/json"}
        if method == "POST":
            sent["Idempotency-Key"] = str(uuid.uuid4())
        if body is not None:
            content = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        sent.update({name: str(value) for name, value in (headers or {}).items() if value is not None})
        address = f"{self._address}{path}" + (f"?{urllib.parse.urlencode(given)}" if given else "")
        request = urllib.request.Request(address, content, sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:
                said = answer.read()
        except urllib.error.HTTPError as error:
            said = error.read()
            try:
                plain = json.loads(said)
            except ValueError:
                plain = {}
            raise Problem(error.code, plain) from None
        return json.loads(said) if said else None

    def list_accounts(self, workspace_id: str, *, limit: int | None = None, cursor: str | None = None, platform: str | None = None, status: str | None = None) -> AccountList:  # noqa: E501
        """The profiles of a workspace."""
        return cast(AccountList, self._ask("GET", f"/v1/workspaces/{workspace_id}/accounts", {"limit": limit, "cursor": cursor, "platform": platform, "status": status}))  # noqa: E501

    def connect_account(self, workspace_id: str, body: ConnectBody, *, idempotency_key: str | None = None) -> AccountShape:  # noqa: E501
        """Why no program connects a profile."""
        return cast(AccountShape, self._ask("POST", f"/v1/workspaces/{workspace_id}/accounts", {}, body, headers={"Idempotency-Key": idempotency_key}))  # noqa: E501

    def get_account(self, workspace_id: str, account_id: str) -> AccountShape:  # noqa: E501
        """One profile."""
        return cast(AccountShape, self._ask("GET", f"/v1/workspaces/{workspace_id}/accounts/{account_id}", {}))  # noqa: E501

    def disconnect_account(self, workspace_id: str, account_id: str, *, cancel_posts: bool | None = None, if_match: str | None = None) -> DisconnectedShape:  # noqa: E501
        """Disconnect a profile."""
        return cast(DisconnectedShape, self._ask("DELETE", f"/v1/workspaces/{workspace_id}/accounts/{account_id}", {"cancelPosts": cancel_posts}, headers={"If-Match": if_match}))  # noqa: E501

    def pause_account(self, workspace_id: str, account_id: str, *, idempotency_key: str | None = None, if_match: str | None = None) -> AccountShape:  # noqa: E501
        """Pause a profile."""
        return cast(AccountShape, self._ask("POST", f"/v1/workspaces/{workspace_id}/accounts/{account_id}/pause", {}, headers={"Idempotency-Key": idempotency_key, "If-Match": if_match}))  # noqa: E501

    def resume_account(self, workspace_id: str, account_id: str, *, idempotency_key: str | None = None, if_match: str | None = None) -> AccountShape:  # noqa: E501
        """Resume a profile."""
        return cast(AccountShape, self._ask("POST", f"/v1/workspaces/{workspace_id}/accounts/{account_id}/resume", {}, headers={"Idempotency-Key": idempotency_key, "If-Match": if_match}))  # noqa: E501

    def make_reconnect_link(self, workspace_id: str, account_id: str, body: LinkBody, *, idempotency_key: str | None = None) -> LinkShape:  # noqa: E501
        """A link that reconnects a profile."""
        return cast(LinkShape, self._ask("POST", f"/v1/workspaces/{workspace_id}/accounts/{account_id}/reconnect-links", {}, body, headers={"Idempotency-Key": idempotency_key}))  # noqa: E501

    def make_connect_link(self, workspace_id: str, body: ConnectLinkBody, *, idempotency_key: str | None = None) -> LinkShape:  # noqa: E501
        """A link that connects a new profile."""
        return cast(LinkShape, self._ask("POST", f"/v1/workspaces/{workspace_id}/connect-links", {}, body, headers={"Idempotency-Key": idempotency_key}))  # noqa: E501

    def list_media(self, *, limit: int | None = None, cursor: str | None = None, kind: Literal["image", "gif", "video", "document"] | None = None, words: str | None = None, unused: bool | None = None) -> MediaList:  # noqa: E501
        """The files of the workspace."""
        return cast(MediaList, self._ask("GET", "/v1/media", {"limit": limit, "cursor": cursor, "kind": kind, "words": words, "unused": unused}))  # noqa: E501

    def add_media(self, content: bytes, content_type: str, *, keep: bool | None = None, idempotency_key: str | None = None) -> MediaShape:  # noqa: E501
        """Add a file."""
        return cast(MediaShape, self._ask("POST", "/v1/media", {"keep": keep}, content=content, headers={"Idempotency-Key": idempotency_key, "Content-Type": content_type}))  # noqa: E501

    def get_media(self, media_id: str) -> MediaShape:  # noqa: E501
        """One file."""
        return cast(MediaShape, self._ask("GET", f"/v1/media/{media_id}", {}))  # noqa: E501

    def change_media(self, media_id: str, body: MediaChange, *, if_match: str | None = None) -> MediaShape:  # noqa: E501
        """Describe or keep a file."""
        return cast(MediaShape, self._ask("PATCH", f"/v1/media/{media_id}", {}, body, headers={"If-Match": if_match}))  # noqa: E501

    def delete_media(self, media_id: str, *, if_match: str | None = None) -> None:  # noqa: E501
        """Delete a file."""
        self._ask("DELETE", f"/v1/media/{media_id}", {}, headers={"If-Match": if_match})  # noqa: E501

    def add_media_from_url(self, body: AddressBody, *, idempotency_key: str | None = None) -> MediaShape:  # noqa: E501
        """Add a file from an address."""
        return cast(MediaShape, self._ask("POST", "/v1/media/from-url", {}, body, headers={"Idempotency-Key": idempotency_key}))  # noqa: E501

    def begin_upload(self, body: UploadBody, *, idempotency_key: str | None = None) -> UploadShape:  # noqa: E501
        """Begin an upload in pieces."""
        return cast(UploadShape, self._ask("POST", "/v1/uploads", {}, body, headers={"Idempotency-Key": idempotency_key}))  # noqa: E501

    def send_piece(self, upload_id: str, content: bytes, content_type: str, *, upload_offset: int | None = None) -> UploadShape:  # noqa: E501
        """Send a piece."""
        return cast(UploadShape, self._ask("PATCH", f"/v1/uploads/{upload_id}", {}, content=content, headers={"Upload-Offset": upload_offset, "Content-Type": content_type}))  # noqa: E501

    def get_upload(self, upload_id: str) -> UploadShape:  # noqa: E501
        """How far an upload is."""
        return cast(UploadShape, self._ask("GET", f"/v1/uploads/{upload_id}", {}))  # noqa: E501

    def end_upload(self, upload_id: str) -> None:  # noqa: E501
        """End an upload."""
        self._ask("DELETE", f"/v1/uploads/{upload_id}", {})  # noqa: E501

    def create_plan(self, body: PlanBody, *, idempotency_key: str | None = None) -> PlanShape:  # noqa: E501
        """Ask a person to let something happen."""
        return cast(PlanShape, self._ask("POST", "/v1/plans", {}, body, headers={"Idempotency-Key": idempotency_key}))  # noqa: E501

    def get_plan(self, plan_id: str) -> PlanShape:  # noqa: E501
        """One plan."""
        return cast(PlanShape, self._ask("GET", f"/v1/plans/{plan_id}", {}))  # noqa: E501

    def list_platforms(self) -> PlatformList:  # noqa: E501
        """What each platform takes."""
        return cast(PlatformList, self._ask("GET", "/v1/platforms", {}))  # noqa: E501

    def list_apps(self) -> AppList:  # noqa: E501
        """How the apps of the platforms stand."""
        return cast(AppList, self._ask("GET", "/v1/installation/platforms", {}))  # noqa: E501

    def list_posts(self, *, limit: int | None = None, cursor: str | None = None, state: Literal["all", "needs", "scheduled", "published", "failed", "draft", "submitted"] | None = None, account_id: str | None = None, platform: str | None = None, from_: str | None = None, to: str | None = None, words: str | None = None) -> PostList:  # noqa: E501
        """The posts of the workspace."""
        return cast(PostList, self._ask("GET", "/v1/posts", {"limit": limit, "cursor": cursor, "state": state, "accountId": account_id, "platform": platform, "from": from_, "to": to, "words": words}))  # noqa: E501

    def create_post(self, body: PostBody, *, idempotency_key: str | None = None) -> PostShape:  # noqa: E501
        """Write a post."""
        return cast(PostShape, self._ask("POST", "/v1/posts", {}, body, headers={"Idempotency-Key": idempotency_key}))  # noqa: E501

    def get_post(self, post_id: str) -> PostShape:  # noqa: E501
        """One post."""
        return cast(PostShape, self._ask("GET", f"/v1/posts/{post_id}", {}))  # noqa: E501

    def change_post(self, post_id: str, body: PostChange, *, if_match: str | None = None) -> DryRun:  # noqa: E501
        """Change a post."""
        return cast(DryRun, self._ask("PATCH", f"/v1/posts/{post_id}", {}, body, headers={"If-Match": if_match}))  # noqa: E501

    def delete_post(self, post_id: str, *, delete_published: bool | None = None, if_match: str | None = None) -> DeletedPost:  # noqa: E501
        """Delete a post."""
        return cast(DeletedPost, self._ask("DELETE", f"/v1/posts/{post_id}", {"deletePublished": delete_published}, headers={"If-Match": if_match}))  # noqa: E501

    def get_delivery(self, delivery_id: str) -> DeliveryShape:  # noqa: E501
        """One post at one profile."""
        return cast(DeliveryShape, self._ask("GET", f"/v1/deliveries/{delivery_id}", {}))  # noqa: E501

    def cancel_post(self, post_id: str, *, idempotency_key: str | None = None, if_match: str | None = None) -> PostShape:  # noqa: E501
        """Cancel a post."""
        return cast(PostShape, self._ask("POST", f"/v1/posts/{post_id}/cancel", {}, headers={"Idempotency-Key": idempotency_key, "If-Match": if_match}))  # noqa: E501

    def retry_post(self, post_id: str, *, idempotency_key: str | None = None, if_match: str | None = None) -> PostShape:  # noqa: E501
        """Try a post again."""
        return cast(PostShape, self._ask("POST", f"/v1/posts/{post_id}/retry", {}, headers={"Idempotency-Key": idempotency_key, "If-Match": if_match}))  # noqa: E501

    def approve_post(self, post_id: str, body: ApproveBody, *, idempotency_key: str | None = None, if_match: str | None = None) -> PostShape:  # noqa: E501
        """Approve a post."""
        return cast(PostShape, self._ask("POST", f"/v1/posts/{post_id}/approve", {}, body, headers={"Idempotency-Key": idempotency_key, "If-Match": if_match}))  # noqa: E501

    def send_post_back(self, post_id: str, body: SendBackBody, *, idempotency_key: str | None = None, if_match: str | None = None) -> PostShape:  # noqa: E501
        """Send a post back."""
        return cast(PostShape, self._ask("POST", f"/v1/posts/{post_id}/send-back", {}, body, headers={"Idempotency-Key": idempotency_key, "If-Match": if_match}))  # noqa: E501

    def retry_delivery(self, delivery_id: str, *, idempotency_key: str | None = None) -> DeliveryShape:  # noqa: E501
        """Try one profile again."""
        return cast(DeliveryShape, self._ask("POST", f"/v1/deliveries/{delivery_id}/retry", {}, headers={"Idempotency-Key": idempotency_key}))  # noqa: E501

    def cancel_delivery(self, delivery_id: str, *, idempotency_key: str | None = None) -> DeliveryShape:  # noqa: E501
        """Cancel at one profile."""
        return cast(DeliveryShape, self._ask("POST", f"/v1/deliveries/{delivery_id}/cancel", {}, headers={"Idempotency-Key": idempotency_key}))  # noqa: E501

    def reschedule_delivery(self, delivery_id: str, body: RescheduleBody, *, idempotency_key: str | None = None) -> DeliveryShape:  # noqa: E501
        """Move at one profile."""
        return cast(DeliveryShape, self._ask("POST", f"/v1/deliveries/{delivery_id}/reschedule", {}, body, headers={"Idempotency-Key": idempotency_key}))  # noqa: E501

    def check_delivery(self, delivery_id: str, *, idempotency_key: str | None = None) -> DeliveryShape:  # noqa: E501
        """Look again whether it is published."""
        return cast(DeliveryShape, self._ask("POST", f"/v1/deliveries/{delivery_id}/check", {}, headers={"Idempotency-Key": idempotency_key}))  # noqa: E501

    def mark_delivery_published(self, delivery_id: str, *, idempotency_key: str | None = None) -> DeliveryShape:  # noqa: E501
        """Say that it is published."""
        return cast(DeliveryShape, self._ask("POST", f"/v1/deliveries/{delivery_id}/mark-published", {}, headers={"Idempotency-Key": idempotency_key}))  # noqa: E501

    def publish_delivery_again(self, delivery_id: str, *, idempotency_key: str | None = None) -> DeliveryShape:  # noqa: E501
        """Send it once more."""
        return cast(DeliveryShape, self._ask("POST", f"/v1/deliveries/{delivery_id}/publish-again", {}, headers={"Idempotency-Key": idempotency_key}))  # noqa: E501

    def list_workspaces(self) -> WorkspaceList:  # noqa: E501
        """The workspaces of the key."""
        return cast(WorkspaceList, self._ask("GET", "/v1/workspaces", {}))  # noqa: E501

    def get_workspace(self, workspace_id: str) -> WorkspaceShape:  # noqa: E501
        """One workspace."""
        return cast(WorkspaceShape, self._ask("GET", f"/v1/workspaces/{workspace_id}", {}))  # noqa: E501

    def list_events(self, *, limit: int | None = None, cursor: str | None = None) -> EventList:  # noqa: E501
        """What happened in the workspace."""
        return cast(EventList, self._ask("GET", "/v1/events", {"limit": limit, "cursor": cursor}))  # noqa: E501

    def list_installation_events(self, *, limit: int | None = None, cursor: str | None = None) -> EventList:  # noqa: E501
        """What happened in the installation."""
        return cast(EventList, self._ask("GET", "/v1/installation/events", {"limit": limit, "cursor": cursor}))  # noqa: E501
