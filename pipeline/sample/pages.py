"""What can be asked for on the sample's site, and from where people come to it."""

from __future__ import annotations

from dataclasses import dataclass

ORIGIN = "https://www.example.com"
FAVOURED = ("product", "pricing", "docs", "download", "blog", "support", "account", "store")
_PRODUCTS = ("studio", "studio-pro", "server", "mobile", "cloud")
_PARTS = ("", "features", "tour", "compare", "changelog")
_TOPICS = (
    "install", "quick-start", "interface", "projects", "import", "export", "layers", "scripts", "plug-ins", "shortcuts",
    "colours", "fonts", "printing", "sharing", "versions", "backups", "licences", "sign-in", "single-sign-on", "roles",
    "api", "api/authentication", "api/projects", "api/exports", "api/webhooks", "cli", "docker", "kubernetes", "proxy",
    "updates", "offline", "accessibility", "troubleshooting", "error-codes", "performance", "glossary",
)  # fmt: skip
_POSTS = (
    "studio-9-2-is-here", "five-habits-of-small-teams", "how-we-test-printers", "a-year-of-offline-mode",
    "why-we-chose-open-formats", "customer-story-harbour-press", "faster-exports", "mobile-gets-layers",
    "cloud-regions", "pricing-changes-explained", "accessibility-report", "behind-the-icons",
)  # fmt: skip
_QUESTIONS = (
    "cannot+open+project", "licence+key+lost", "slow+export", "refund", "printer+colours+wrong", "move+to+new+computer",
    "crash+on+start", "invoice+copy",
)  # fmt: skip


@dataclass(frozen=True)
class Section:
    """Pages that belong together.

    Attributes:
        name: Of the section, as the site file has it where it has one.
        weight: How often people ask for its pages, over all sections; 0 for what people never ask for.
        size: Usual size of an answer in bytes.
        pages: Method and path, the most frequent first.
    """

    name: str
    weight: float
    size: int
    pages: tuple[str, ...]


def _get(*paths: str) -> tuple[str, ...]:
    return tuple(f"GET {path}" for path in paths)


SECTIONS = (
    Section("home", 14, 24_000, _get("/", "/index.html", "/?lang=en", "/?source=app")),
    Section(
        "product", 20, 31_000,
        _get(*(f"/product/{name}/{part}" for part in _PARTS for name in _PRODUCTS)),
    ),
    Section("pricing", 9, 14_000, _get("/pricing", "/pricing/volume", "/pricing/education", "/pricing?currency=EUR")),
    Section("docs", 22, 18_000, _get("/docs/", *(f"/docs/{topic}" for topic in _TOPICS), "/docs/search?q=export+pdf")),
    Section(
        "download", 7, 38_000_000,
        _get(
            "/download/", "/download/studio-9.2-win64.exe", "/download/studio-9.2.dmg", "/download/studio-9.2.tar.gz",
            "/download/server-4.1.tar.gz", "/download/studio-pro-9.2-win64.exe", "/download/mobile-3.8.apk",
        ),
    ),
    Section("blog", 8, 21_000, _get("/blog/", *(f"/blog/2026/{post}" for post in _POSTS), "/blog/page/2")),
    Section(
        "support", 7, 16_000,
        (*_get("/support/", *(f"/support/search?q={question}" for question in _QUESTIONS)), "POST /support/tickets"),
    ),
    Section(
        "account", 5, 6_000,
        (*_get("/account/", "/account/licences", "/account/invoices"), "POST /account/login", "POST /account/profile"),
    ),
    Section("store", 4, 9_000, (*_get("/store/cart", "/store/checkout", "/store/thanks"), "POST /store/cart")),
    Section("site", 4, 8_000, _get("/favicon.ico", "/assets/site.css", "/about", "/careers", "/legal/privacy")),
    Section("gone", 1.6, 1_200, _get("/docs/v7/install.html", "/blog/2019/hello", "/download/old.zip", "/buy.php")),
    Section("robots", 0, 900, _get("/robots.txt", "/sitemap.xml")),
    Section("probes", 0, 600, _get("/wp-login.php", "/.env", "/.git/config", "/xmlrpc.php", "/phpmyadmin/index.php")),
)  # fmt: skip

# The entry pages of campaigns, and who sends people there.
ENTRIES = ("/", "/pricing", "/product/studio/", "/product/cloud/", "/download/", "/blog/2026/studio-9-2-is-here")
CAMPAIGNS = tuple(
    f"utm_source={source}&utm_medium={medium}&utm_campaign={name}"
    for source, medium in (("newsletter", "email"), ("google", "cpc"), ("bing", "cpc"), ("linkedin", "social"))
    for name in ("autumn-2026", "studio-9", "education")
)

# Weight and referring address by the way of arrival; an empty address stands for none.
ARRIVALS: tuple[tuple[float, tuple[tuple[float, str], ...]], ...] = (
    (31, ((1, ""),)),
    (
        38,
        (
            (60, "https://www.google.com/"), (5, "https://www.google.de/"), (4, "https://www.google.co.uk/"),
            (3, "https://www.google.fr/"), (3, "https://www.google.co.in/"), (2, "https://www.google.com.br/"),
            (11, "https://www.bing.com/"), (9, "https://duckduckgo.com/"), (2, "https://www.ecosia.org/"),
            (2, "https://search.yahoo.com/"), (1, "https://yandex.ru/"), (1, "https://search.brave.com/"),
            (1, "https://www.bing.com/search?q=example+studio+jane.roe%40example.org"),
        ),
    ),
    (
        9,
        (
            (16, "https://www.linkedin.com/"), (20, "https://www.reddit.com/r/software/comments/1abc23/which_tool/"),
            (16, "https://t.co/Zx81kQpLm0"), (14, "https://www.facebook.com/"), (8, "https://l.facebook.com/l.php?u=x"),
            (14, "https://www.youtube.com/"), (8, "https://news.ycombinator.com/item?id=41234567"),
            (4, "https://mastodon.social/@example/113"),
        ),
    ),
    (
        5,
        (
            (50, "https://mail.google.com/"), (30, "https://outlook.live.com/"), (12, "https://mail.yahoo.com/"),
            (8, "android-app://com.google.android.gm/"),
        ),
    ),
    (
        11,
        (
            (34, "https://github.com/"), (22, "https://stackoverflow.com/questions/70000000"),
            (9, "https://en.wikipedia.org/wiki/Desktop_publishing"), (8, "https://www.g2.com/categories/publishing"),
            (7, "https://www.capterra.com/p/100/studio"), (6, "https://alternativeto.net/software/studio/"),
            (5, "https://reseller.example.net/offers?ref=4711"), (4, "https://partner.example.org/tools"),
            (3, "https://intranet.customer.invalid/wiki/tools?owner=john.doe%40example.org"),
            (2, "http://203.0.113.77/links"),
        ),
    ),
)  # fmt: skip
CAMPAIGN_SHARE = 0.06  # of visits begin with a campaign's link
