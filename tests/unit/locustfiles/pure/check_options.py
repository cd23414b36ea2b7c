"""What `--target-metrics` takes, and what it says of what it does not take."""

from __future__ import annotations

import argparse
from dataclasses import replace

import pytest

from locustfiles.harness.options import MAX_METRICS_URLS, Options, metrics_urls

OPTIONS = Options((), None, 1.0, 1.0, 1, None, "results/runs")


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("http://a:1", ["http://a:1/metrics"]),
        (" http://a:1/ , https://b ", ["http://a:1/", "https://b/metrics"]),
        ("HTTPS://B:443/stats/prometheus", ["https://b/stats/prometheus"]),
        ("http://a:1/m?format=prometheus", ["http://a:1/m?format=prometheus"]),
        ("http://a:1?format=prometheus", ["http://a:1/metrics?format=prometheus"]),
        ("http://[::1]:9100,http://a:1,", ["http://[::1]:9100/metrics", "http://a:1/metrics"]),
        ("http://a:1/by@name", ["http://a:1/by@name"]),
    ],
)
def test_urls_of_metrics_are_whole_and_default_to_the_usual_path(
    text: str, urls: list[str]
) -> None:
    assert metrics_urls(text) == urls


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no URL given"),
        (" , ", "no URL given"),
        ("a:1/metrics", "http://host:port/metrics"),
        ("ftp://a:1/metrics", "http://host:port/metrics"),
        ("http://", "http://host:port/metrics"),
        ("http://a:70000/metrics?hidden", "http://host:port/metrics"),
        ("http://a:0/metrics", "http://host:port/metrics"),
        ("http://user:hidden@a:1", "before the '@'"),
        ("http://hidden@a:1/metrics", "before the '@'"),
        ("user:hidden@a:1", "before the '@'"),
        ("http://a:1/metrics#part", "'#'"),
        ("http://a:1/my metrics", "space"),
        ("http://a:1/\x1b[2J", "control character"),
        ("http://a:1/x,http://a:1/y", "a:1 is named twice"),
        ("http://a,http://a:80/y", "a:80 is named twice"),
        (",".join(f"http://a:{n}" for n in range(1, MAX_METRICS_URLS + 2)), "too many"),
    ],
)
def test_a_bad_url_of_metrics_is_named_without_what_may_be_secret(text: str, says: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        metrics_urls(text)
    assert says in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_the_manifest_names_the_endpoints_without_their_queries() -> None:
    assert OPTIONS.as_dict()["target_metrics"] == []
    keyed = replace(OPTIONS, target_metrics=("http://a?key",))
    assert keyed.as_dict()["target_metrics"] == ["http://a"]
