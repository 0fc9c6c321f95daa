"""How often a program may ask: counted in the store by minutes. While the store is away nobody is limited."""

import time
from dataclasses import dataclass

import redis
from flask import current_app

from .problems import Problem

WINDOW = 60  # seconds


@dataclass(frozen=True)
class Limit:
    """So many requests a minute."""

    name: str
    most: int


OF_KEY = Limit("key", 600)
OF_STRANGER = Limit("stranger", 60)  # requests without a valid key, from one address


def count(who: str, limit: Limit) -> dict[str, str]:
    """Count one request; returns the headers that tell what is left. Raises Problem (rate_limited).

    The headers are those of draft-ietf-httpapi-ratelimit-headers.
    """
    moment = time.time()
    left_over = WINDOW - int(moment) % WINDOW
    name = f"api:{limit.name}:{who}:{int(moment) // WINDOW}"
    try:
        with current_app.extensions["store"].pipeline(transaction=False) as pipe:
            pipe.incr(name)
            pipe.expire(name, 2 * WINDOW)
            number = int(pipe.execute()[0])
    except redis.RedisError:
        return {}
    headers = {"RateLimit-Policy": f'"{limit.name}";q={limit.most};w={WINDOW}',
               "RateLimit": f'"{limit.name}";r={max(0, limit.most - number)};t={left_over}'}
    if number > limit.most:
        raise Problem("rate_limited", f"{limit.most} requests a minute are answered.",
                      headers={**headers, "Retry-After": str(left_over)})
    return headers
