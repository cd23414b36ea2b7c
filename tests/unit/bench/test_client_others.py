"""What the bench reads out of the reports of other load tools."""

from __future__ import annotations

from tests.bench.client_others import tsung_requests, wrk_requests

WRK = """Running 10s test @ http://127.0.0.1:8001/
  1 threads and 800 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   201.12ms   57.61ms 311.51ms   57.80%
    Req/Sec     3.97k   229.83     4.43k    74.00%
  39478 requests in 10.02s, 14.12MB read
  Non-2xx or 3xx responses: 478
Requests/sec:   3940.87
Transfer/sec:      1.41MB
"""

TSUNG = """# stats: dump at 1795190000
stats: users 400 400
stats: request 1200 210.1 33.2 301.2 101.1 0 0
stats: request_bogus 7 1 1 1 1 0 0
# stats: dump at 1795190010
stats: request 3300 211.0 31.0 301.0 100.9 210.1 1200
"""


def test_wrks_good_responses_are_counted() -> None:
    assert wrk_requests(WRK) == 39_000
    assert wrk_requests("unable to connect to 127.0.0.1:1 Connection refused") == 0


def test_tsungs_requests_are_the_sum_of_its_intervals() -> None:
    assert tsung_requests(TSUNG) == 4500
    assert tsung_requests("") == 0
