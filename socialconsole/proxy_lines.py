"""The lines of nginx, Caddy, Traefik and Apache that put a console behind https, and those that mend what differs.

The deployment page shows them, the address check picks from them, and the proofs behind real proxies run them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

PROXIES = {"nginx": "nginx", "caddy": "Caddy", "traefik": "Traefik", "apache": "Apache"}
MOST_BODY = "8m"  # large files travel in pieces of 4 MB, plus the form around them


@dataclass(frozen=True)
class Site:
    """What a proxy has to know. `certificate` and `key`: files; empty where the proxy gets its own."""

    host: str
    port: int
    https: bool
    prefix: str
    upstream: str  # host and port that the console listens on
    certificate: str = ""
    key: str = ""

    @property
    def address(self) -> str:
        """Scheme, host and, where it is not the usual one, port."""
        usual = 443 if self.https else 80
        return f"{'https' if self.https else 'http'}://{self.host}" + ("" if self.port == usual else f":{self.port}")


# ---------------------------------------------------------------- whole configurations


def nginx(site: Site) -> str:
    """A server block of nginx."""
    certificate = site.certificate or f"/etc/letsencrypt/live/{site.host}/fullchain.pem"
    key = site.key or f"/etc/letsencrypt/live/{site.host}/privkey.pem"
    encrypted = [f"    ssl_certificate {certificate};", f"    ssl_certificate_key {key};"] if site.https else []
    return "\n".join((
        "server {",
        f"    listen {site.port}{' ssl' if site.https else ''};",
        f"    server_name {site.host};",
        *encrypted,
        f"    client_max_body_size {MOST_BODY};",
        "",
        f"    location {site.prefix}/ {{",
        f"        proxy_pass http://{site.upstream};",
        "        proxy_set_header Host $http_host;",
        "        proxy_set_header X-Forwarded-Host $http_host;",
        "        proxy_set_header X-Forwarded-Proto $scheme;",
        "        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
        "    }",
        "}"))


def nginx_redirect(site: Site) -> str:
    """A server block of nginx that leads people from http to https."""
    return "\n".join((
        "server {", "    listen 80;", f"    server_name {site.host};",
        f"    return 301 {site.address}$request_uri;", "}"))


def caddy(site: Site) -> str:
    """A site of a Caddyfile. Caddy passes host, scheme and caller on by itself, and leads http to https."""
    own = [f"    tls {site.certificate} {site.key}"] if site.certificate else []
    passed = [f"    reverse_proxy {site.upstream}"]
    if site.prefix:
        passed = [f"    @console path {site.prefix} {site.prefix}/*", "    handle @console {",
                  f"        reverse_proxy {site.upstream}", "    }"]
    return "\n".join((f"{site.address} {{", *own, *passed, "}"))


UNITS = {
    "run": ("socialconsole.service", "Social Console", "run"),
    "web": ("socialconsole-web.service", "Social Console, web", "web"),
    "worker": ("socialconsole-worker.service", "Social Console, workers and ticker", "worker"),
}


def unit(which: str, folder: str, *written: str) -> str:
    """A systemd unit for one part, with the code in `folder`; `written`: the folders that it may write to."""
    _, words, command = UNITS[which]
    return "\n".join((
        "[Unit]", f"Description={words}", "After=network-online.target", "Wants=network-online.target", "",
        "[Service]", "User=socialconsole", f"WorkingDirectory={folder}",
        f"ExecStart={folder}/.venv/bin/socialconsole {command}", "Restart=on-failure", "RestartSec=5",
        "TimeoutStopSec=60", "NoNewPrivileges=yes", "ProtectSystem=strict", f"ReadWritePaths={' '.join(written)}",
        "PrivateTmp=yes", "", "[Install]", "WantedBy=multi-user.target"))


# ---------------------------------------------------------------- what mends a difference

_PASS = {
    "nginx": "location {prefix}/ {{\n    proxy_pass http://{upstream};\n}}",
    "caddy": "@console path {path}\nhandle @console {{\n    reverse_proxy {upstream}\n}}",
    "traefik": "http:\n  routers:\n    console:\n      rule: {rule}\n      service: console\n  services:\n    "
               "console:\n      loadBalancer:\n        servers:\n          - url: http://{upstream}",
    "apache": 'ProxyPass "{prefix}/" "http://{upstream}{prefix}/"',
}
_HOST = {
    "nginx": "proxy_set_header Host $http_host;\nproxy_set_header X-Forwarded-Host $http_host;",
    "caddy": "reverse_proxy {upstream} {{\n    header_up Host {{hostport}}\n    header_up X-Forwarded-Host "
             "{{hostport}}\n}}",
    "traefik": "loadBalancer:\n  passHostHeader: true",
    "apache": "ProxyPreserveHost On",
}
_CERTIFICATE = {
    "nginx": "server_name {host};\nssl_certificate /etc/letsencrypt/live/{host}/fullchain.pem;\n"
             "ssl_certificate_key /etc/letsencrypt/live/{host}/privkey.pem;",
    "caddy": "{address} {{\n    reverse_proxy {upstream}\n}}",
    "traefik": "tls:\n  certificates:\n    - certFile: /etc/letsencrypt/live/{host}/fullchain.pem\n"
               "      keyFile: /etc/letsencrypt/live/{host}/privkey.pem",
    "apache": "SSLCertificateFile /etc/letsencrypt/live/{host}/fullchain.pem\n"
              "SSLCertificateKeyFile /etc/letsencrypt/live/{host}/privkey.pem",
}
_LISTEN = {
    "nginx": "listen {port}{ssl};\nserver_name {host};",
    "caddy": "{address} {{\n    reverse_proxy {upstream}\n}}",
    "traefik": "entryPoints:\n  console:\n    address: \":{port}\"",
    "apache": "Listen {port}\n<VirtualHost *:{port}>\n    ServerName {host}{engine}\n</VirtualHost>",
}
_OPEN = {
    "nginx": "location {prefix}/api/connect/ {{\n    auth_basic off;\n    auth_request off;\n"
             "    proxy_pass http://{upstream};\n}}",
    "caddy": "@callback path {prefix}/api/connect/*\nhandle @callback {{\n    reverse_proxy {upstream}\n}}",
    "traefik": "http:\n  routers:\n    callback:\n      rule: Host(`{host}`) && PathPrefix(`{prefix}/api/connect/`)\n"
               "      priority: 1000\n      middlewares: []\n      service: console",
    "apache": "<Location \"{prefix}/api/connect/\">\n    AuthType None\n    Require all granted\n</Location>",
}
# cause -> proxy -> the lines that it should have. A cause that no proxy can mend is not here.
FIXES: Mapping[str, Mapping[str, str]] = {
    "refused": _LISTEN, "tls_none": _LISTEN, "tls_only": _LISTEN,
    "tls_expired": _CERTIFICATE, "tls_early": _CERTIFICATE, "tls_name": _CERTIFICATE, "tls_self_signed": _CERTIFICATE,
    "tls_chain": _CERTIFICATE, "tls_other": _CERTIFICATE,
    "redirect_scheme": _PASS, "redirect_host": _PASS, "redirect_path": _PASS, "redirect": _PASS,
    "not_found": _PASS, "another_site": _PASS, "upstream": _PASS, "prefix": _PASS,
    "wall": _OPEN, "host": _HOST, "port": _HOST,
    "query": {
        "nginx": "proxy_pass http://{upstream};  # without $uri, which has no query",
        "caddy": "reverse_proxy {upstream}  # a rewrite before it has to end with ?{{query}}",
        "traefik": "middlewares: []  # without replacePathRegex that drops the query",
        "apache": "RewriteRule ^ - [QSA]  # every rule that rewrites the path needs QSA",
    },
    "proto": {
        "nginx": "proxy_set_header X-Forwarded-Proto $scheme;",
        "caddy": "reverse_proxy {upstream} {{\n    header_up X-Forwarded-Proto {{scheme}}\n}}",
        "traefik": "entryPoints:\n  websecure:\n    address: \":{port}\"\n    http:\n      tls: {{}}",
        "apache": "RequestHeader set X-Forwarded-Proto expr=%{{REQUEST_SCHEME}}",
    },
    "forwarded_for": {
        "nginx": "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
        "caddy": "reverse_proxy {upstream}  # without header_up lines for X-Forwarded-For",
        "traefik": "entryPoints:\n  websecure:\n    forwardedHeaders:\n      insecure: false",
        "apache": "ProxyAddHeaders On",
    },
    "altered": {
        "nginx": "sub_filter_types none;  # nothing may be replaced in what the console answers",
        "caddy": "reverse_proxy {upstream}  # without replace and templates",
        "traefik": "middlewares: []  # without plugins that rewrite bodies",
        "apache": "SetOutputFilter NONE",
    },
}


def fixes(cause: str, site: Site) -> dict[str, str]:
    """The lines for each proxy that mend a cause, filled in for this site; empty where a proxy can do nothing."""
    path = f"{site.prefix} {site.prefix}/*" if site.prefix else "/*"
    rule = f"Host(`{site.host}`)" + (f" && PathPrefix(`{site.prefix}`)" if site.prefix else "")
    values = {"prefix": site.prefix, "upstream": site.upstream, "host": site.host, "port": site.port,
              "address": site.address, "path": path, "rule": rule, "ssl": " ssl" if site.https else "",
              "engine": "\n    SSLEngine on" if site.https else ""}
    return {PROXIES[proxy]: lines.format(**values) for proxy, lines in FIXES.get(cause, {}).items()}
