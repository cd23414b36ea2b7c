"""What the suite adds to Locust's own web UI: the choice of shape or ad hoc, order, the verdict.

The form is Locust's, with its class picker on. `index` adds a few lines of script that preset the
scenario's shape, so that a plain Start runs the scenario, and name the other choice for what it
is. `start` and `stop` stand before Locust's own handlers: one at a time, and what cannot work is
refused with a reason that the form shows. `update_user` stands before the class picker's edits,
which last. `stats` carries the verdict of the last run to a tab.

This module must not start users, or judge: Locust does the one, the owner the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import Any

import gevent
from flask import Blueprint, Response, jsonify, make_response, request
from gevent.lock import BoundedSemaphore
from jinja2.utils import htmlsafe_json_dumps
from locust import User
from locust.env import Environment
from locust.runners import (
    STATE_CLEANUP,
    STATE_RUNNING,
    STATE_SPAWNING,
    STATE_STOPPED,
    STATE_STOPPING,
    MasterRunner,
)
from locust.web import WebUI
from werkzeug.datastructures import ImmutableMultiDict, MultiDict

from locustfiles.harness.arrivals.open_load import refuse_ad_hoc
from locustfiles.harness.course import Course
from locustfiles.harness.options import parsed_options
from locustfiles.harness.owner import Owner
from locustfiles.harness.web import note_route
from locustfiles.harness.web.declared import MAX_EDIT_BYTES, DeclaredUsers, read_edit
from locustfiles.harness.web.start_form import run_time_s, why_no_host, why_no_option, why_no_ramp
from locustfiles.harness.web.verdict_tab import COLUMNS, rows
from locustfiles.harness.web.web_access import refuse_other_sites
from shapes.locust_shape import PhasedShape

NO_SHAPE = "Default"
"""Locust's own name, in its form, for a run without a shape."""

BEGIN_TIMEOUT_S = 20.0
"""For a start that Locust has accepted to have its books and its first users."""

TURN_TIMEOUT_S = 5.0
"""A start waits this long for another start or stop; a stop waits for a start as long as that may
take."""

WORKERS_MARGIN_S = 5.0
"""Beyond the stop timeout, after which Locust's workers report as ready again."""

POLL_S = 0.02

BUSY = "another start or stop is still being carried out: try again"

TAB = "verdict"

_ENDING = (STATE_CLEANUP, STATE_STOPPING, STATE_STOPPED)

_SCRIPT = """
<script>
Object.assign(window.templateArgs, %(arguments)s);
// Locust's form presets the first choice, which is a run without a shape.
new MutationObserver(() => {
  const choice = document.querySelector('select[name="shapeClass"]:not([data-preset])');
  if (!choice) return;
  choice.dataset.preset = "";
  for (const option of choice.options) option.textContent = %(labels)s[option.value];
  choice.value = %(shape)s;
  choice.dispatchEvent(new Event("change", {bubbles: true}));
}).observe(document.body, {childList: true, subtree: true});
</script>
"""

View = Callable[..., Any]


def attach(
    web_ui: WebUI,
    environment: Environment,
    owner: Owner,
    *,
    declared: DeclaredUsers,
    refuse_users: Callable[[int], str | None],
) -> None:
    """Add it all to a web UI that is not yet serving.

    `refuse_users` says why this process cannot carry so many users, or None.
    """
    _Additions(web_ui, environment, owner, declared, refuse_users).install()


class _Additions:
    """Holds one turn for starts and stops; everything else is the owner's or Locust's."""

    def __init__(
        self,
        web_ui: WebUI,
        environment: Environment,
        owner: Owner,
        declared: DeclaredUsers,
        refuse_users: Callable[[int], str | None],
    ) -> None:
        self._web_ui = web_ui
        self._environment = environment
        self._owner = owner
        self._declared = declared
        self._refuse_users = refuse_users
        self._turn = BoundedSemaphore()
        self._workers = 0
        self._ends_at_s: float | None = None
        self._refused_edit: str | None = None
        shape = environment.shape_class
        # A locustfile that is only judged may have a shape that is no plan, or none.
        self._has_plan = isinstance(shape, PhasedShape)
        self._shape_name = NO_SHAPE if shape is None else type(shape).__name__

    def install(self) -> None:
        app = self._web_ui.app
        guard: Callable[[View], View] = self._web_ui.auth_required_if_enabled
        assert app is not None
        self._web_ui.userclass_picker_is_active = True
        views = app.view_functions
        additions = {
            "index": self._index,
            "swarm": self._start,
            "stop": self._stop,
            "request_stats": self._stats,
            "update_user": self._edit_class,
        }
        for name, added in additions.items():
            view = views[f"locust.{name}"]
            views[f"locust.{name}"] = guard(wraps(view)(partial(added, view)))
        app.before_request(refuse_other_sites(self._web_ui.host))
        options = self._environment.parsed_options
        own = Blueprint("foundation", __name__, url_prefix=options and options.web_base_path)
        own.add_url_rule("/verdict", view_func=guard(self._verdict))
        own.add_url_rule(note_route.PATH, methods=["POST"], view_func=guard(note_route.take_note))
        app.register_blueprint(own)

    # Pages

    def _index(self, view: View) -> Response:
        # This page shows the classes as they are.
        self._refused_edit = None
        page = make_response(view())
        ad_hoc = " (ad hoc)" if self._has_plan else ""
        what = "the scenario as it is planned" if self._has_plan else "the locustfile's own"
        script = _SCRIPT % {
            "arguments": htmlsafe_json_dumps(self._template_arguments()),
            "labels": htmlsafe_json_dumps(
                {
                    self._shape_name: f"{self._shape_name}: {what}",
                    NO_SHAPE: f"no shape: the number of users below, until you stop{ad_hoc}",
                }
            ),
            "shape": htmlsafe_json_dumps(self._shape_name),
        }
        page.set_data(page.get_data(as_text=True).replace("</body>", f"{script}</body>"))
        return page

    def _template_arguments(self) -> dict[str, object]:
        course = self._owner.course
        arguments: dict[str, object] = {
            "extended_tabs": [{"title": "Verdict", "key": TAB}],
            "extended_tables": [{"key": TAB, "structure": COLUMNS}],
            # A running shape is not edited; the form of a start follows its own choice.
            "hide_common_options": course is not None and self._follows_shape(course),
            "state": self._state(),
        }
        return arguments

    def _state(self) -> str:
        """Locust's, but a run goes on until it is judged, and is over then.

        The page stops asking as soon as it is told neither spawning nor running, and would show
        `cleanup` for ever, without a verdict and without the button for the next run.
        """
        runner = self._environment.runner
        assert runner is not None
        if runner.state not in _ENDING:
            return str(runner.state)
        return STATE_STOPPED if self._owner.course is None else STATE_RUNNING

    def _stats(self, view: View) -> Response:
        """Locust's, with the verdict, and with the state as of now: Locust's may be 2 s old."""
        answer = make_response(view())
        stats: dict[str, Any] = dict(answer.get_json())
        stats["state"] = self._state()
        stats["extended_stats"] = [{"key": TAB, "data": rows(self._owner)}]
        return jsonify(stats)

    def _verdict(self) -> Response:
        """The last run's, for scripts; `null` before the first."""
        if self._owner.verdicts.last is None:
            return jsonify(None)
        judgement, folder = self._owner.verdicts.last
        return jsonify(
            {
                "run_id": folder.run_id,
                "verdict": judgement.verdict.value,
                "exit_code": int(judgement.exit_code),
                "reasons": list(judgement.reasons),
                "folder": str(folder.path),
            }
        )

    # Starting and stopping

    def _start(self, view: View) -> Response:
        if not self._turn.acquire(timeout=TURN_TIMEOUT_S):
            return self._refused(BUSY)
        try:
            reason = self._why_not(request.form)
            if reason is not None:
                return self._refused(reason)
            return self._edit(view) if self._owner.course is not None else self._begin(view)
        finally:
            self._turn.release()

    def _begin(self, view: View) -> Response:
        run_time = run_time_s(request.form)
        # Left by a run that ended otherwise, it would end this one.
        web_ui: Any = self._web_ui
        web_ui._cancel_run_time_timer()
        self._owner.not_begun = None
        completed = MultiDict(request.form)
        # A plain start runs the shape.
        completed.setdefault("shape_class", self._shape_name)
        answer = self._carried_out(view, completed)
        if not answer.get_json().get("success"):
            return answer
        self._ends_at_s = None if run_time is None else time.monotonic() + run_time
        reason = self._why_not_begun()
        return answer if reason is None else self._refused(reason)

    def _edit(self, view: View) -> Response:
        """Keeps the user classes that run, and the run time, which Locust's handler would end."""
        run_time = run_time_s(request.form)
        completed = MultiDict(request.form)
        running = [one.__name__ for one in self._environment.user_classes]
        completed.setlist("user_classes", running)
        answer = self._carried_out(view, completed)
        if run_time is not None:
            self._ends_at_s = time.monotonic() + run_time
        elif self._ends_at_s is not None:
            web_ui: Any = self._web_ui
            web_ui._cancel_run_time_timer()
            left_s = max(0.0, self._ends_at_s - time.monotonic())
            web_ui._run_time_greenlet = gevent.spawn_later(left_s, web_ui._stop_runners)
        return answer

    def _carried_out(self, view: View, form: MultiDict[str, str]) -> Response:
        request.form = ImmutableMultiDict(form)
        try:
            return make_response(view())
        except (ValueError, TypeError) as error:
            # A value that an option of the locustfile's own cannot take.
            return self._refused(f"Locust cannot carry out this form: {error}")

    def _edit_class(self, _view: View) -> Response:
        """In place of Locust's, which sets any attribute to any value, also while a run goes on.

        The form shows an edit as soon as it is sent, whatever the answer: one that is refused
        holds up the next start, which can say so.
        """
        if not self._turn.acquire(timeout=TURN_TIMEOUT_S):
            return make_response(self._refused(BUSY), 409)
        try:
            if self._owner.course is not None:
                reason = "a run goes on: stop it before you edit its users"
                return make_response(self._refused(reason), 409)
            # Locust limits no body.
            raw = request.stream.read(MAX_EDIT_BYTES + 1)
            edit = read_edit(raw, self._available(), self._environment.available_user_tasks or {})
            update: Any = self._environment.update_user_class
            update(edit)
            return make_response(jsonify({}), 201)
        except ValueError as error:
            self._refused_edit = str(error)
            return make_response(self._refused(str(error)), 400)
        finally:
            self._turn.release()

    def _stop(self, view: View) -> Response:
        # A stop that overtakes a start would find nothing to stop, and the start would go on.
        timeout_s = self._environment.stop_timeout + WORKERS_MARGIN_S + BEGIN_TIMEOUT_S
        if not self._turn.acquire(timeout=timeout_s):
            return self._refused("another start or stop is still being carried out: try again")
        try:
            return make_response(view())
        finally:
            self._turn.release()

    def _why_not(self, form: MultiDict[str, str]) -> str | None:
        """Why this start, or edit, cannot be carried out."""
        options = parsed_options(self._environment)
        reason = self._why_no_choice(form) or why_no_option(form, options)
        if reason is not None:
            return reason
        if self._is_ending() and not self._owner.wait_until_idle(TURN_TIMEOUT_S):
            return "the run before is still ending: try again when its verdict is there"
        course = self._owner.course
        if course is None:
            return self._why_not_these_users(form) or self._no_workers()
        if self._follows_shape(course):
            return "the shape is running, and its users follow it: stop the run first"
        if form.get("shape_class", NO_SHAPE) != NO_SHAPE:
            return "an ad-hoc run goes on: stop it before you start the shape"
        return why_no_ramp(form)

    def _why_no_choice(self, form: Mapping[str, str]) -> str | None:
        """Of the choices that are there."""
        wanted = form.get("shape_class")
        if wanted not in (None, NO_SHAPE, self._shape_name):
            return f"there is no shape {wanted!r}: choose {self._shape_name} or {NO_SHAPE}"
        if (reason := why_no_host(form, self._environment)) is not None:
            return reason
        try:
            run_time_s(form)
        except ValueError as error:
            return str(error)
        is_shape = wanted not in (None, NO_SHAPE)
        return None if is_shape else self._too_many(form)

    def _too_many(self, form: Mapping[str, str]) -> str | None:
        try:
            return self._refuse_users(int(form.get("user_count", "0")))
        except ValueError:
            # Said when it is known whether a number is needed.
            return None

    def _why_not_these_users(self, form: MultiDict[str, str]) -> str | None:
        if self._refused_edit is not None:
            return (
                f"an edit of a user class was refused ({self._refused_edit}): reload the page, "
                "which then shows the classes as they are"
            )
        available = self._available()
        chosen = form.getlist("user_classes") or list(available)
        if unknown := sorted(set(chosen) - available.keys()):
            return f"there is no user class {', '.join(unknown)}: choose of {', '.join(available)}"
        if form.get("shape_class", self._shape_name) != NO_SHAPE:
            return self._declared.why_not_planned(chosen) if self._has_plan else None
        return refuse_ad_hoc(available[name] for name in chosen) or why_no_ramp(form)

    def _follows_shape(self, course: Course) -> bool:
        """Whether the users of the run that goes on are a shape's, and not a person's."""
        runner = self._environment.runner
        assert runner is not None
        return course.profile is not None or runner.shape_greenlet is not None

    def _available(self) -> dict[str, type[User]]:
        """Locust says that it holds users; it holds their classes."""
        found: dict[str, Any] = dict(self._environment.available_user_classes or {})
        return found

    def _is_ending(self) -> bool:
        runner = self._environment.runner
        assert runner is not None
        return self._owner.course is not None and runner.state in _ENDING

    def _no_workers(self) -> str | None:
        """Wait until those of the last run are ready again; why there is none, if so."""
        runner = self._environment.runner
        if not isinstance(runner, MasterRunner):
            return None
        deadline_s = time.monotonic() + self._environment.stop_timeout + WORKERS_MARGIN_S
        while len(runner.clients.ready) < self._workers and time.monotonic() < deadline_s:
            gevent.sleep(POLL_S)
        self._workers = len(runner.clients.ready)
        if self._workers:
            return None
        return "no worker is ready: start workers with --worker, or wait until they are back"

    def _why_not_begun(self) -> str | None:
        """Locust starts in the background; what comes next must find the run."""
        runner = self._environment.runner
        assert runner is not None
        deadline_s = time.monotonic() + BEGIN_TIMEOUT_S
        begun = (STATE_SPAWNING, STATE_RUNNING)
        while time.monotonic() < deadline_s:
            if self._owner.course is not None and runner.state in begun:
                return None
            if self._owner.not_begun is not None:
                return f"the run cannot be recorded, so it was not started: {self._owner.not_begun}"
            gevent.sleep(POLL_S)
        return f"the run did not begin within {BEGIN_TIMEOUT_S:.0f} s: see Locust's log"

    def _refused(self, reason: str) -> Response:
        """As Locust's own handlers refuse: the form shows the message."""
        return jsonify({"success": False, "message": reason, "host": self._environment.host})
