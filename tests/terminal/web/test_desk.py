"""The counter as a state machine of keys: two actions after a tap, and none of them twice."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest

from terminal.answers import Phase, TapAnswer
from terminal.web.desk import Desk, Mode
from terminal.web.jobs import (
    AcknowledgeJob,
    Books,
    DismissJob,
    Job,
    SyncJob,
    TapJob,
    VoidJob,
)
from tests.terminal.web.stand_in import CINEMA, COUNTER, PACK, TOMBS, StandIn


class Clerk:
    """A person with a keyboard: presses keys and lets the service do what comes of it."""

    def __init__(self) -> None:
        self.terminal = StandIn()
        numbers = count(1)
        self.desk = Desk(
            self.terminal.snapshot_view(COUNTER), self.books(), lambda: f"N{next(numbers)}"
        )
        self.jobs: list[Job] = []

    def books(self) -> Books:
        recent = tuple(self.terminal.recent(COUNTER))
        return Books(self.terminal.totals(COUNTER), recent)

    def look(self) -> Mode:
        self.desk.observe(self.terminal.snapshot_view(COUNTER), self.books())
        return self.desk.mode

    def insert(self, card: str = "good") -> Mode:
        self.terminal.insert(COUNTER, card)
        return self.look()

    def keys(self, *names: str) -> Mode:
        for name in names:
            self.do(self.desk.key(name))
            self.look()
        return self.desk.mode

    def press(self, action: str, value: str = "") -> Mode:
        self.do(self.desk.press(action, value))
        return self.look()

    def do(self, job: Job | None) -> None:
        if job is None:
            return
        self.jobs.append(job)
        answer: TapAnswer | None = None
        if isinstance(job, TapJob):
            answer = self.terminal.tap(COUNTER, job.offer, job.nonce, evidence=job.evidence)
        elif isinstance(job, VoidJob):
            answer = self.terminal.void(
                COUNTER, job.nonce, reason=job.reason, void_nonce=job.void_nonce
            )
        elif isinstance(job, DismissJob):
            self.terminal.dismiss(COUNTER)
        elif isinstance(job, AcknowledgeJob):
            self.terminal.acknowledge(COUNTER, job.nonce)
        self.desk.finished(job, answer)

    @property
    def redeemed(self) -> int:
        return self.terminal.totals(COUNTER).redeemed


@pytest.fixture
def clerk() -> Iterator[Clerk]:
    yield Clerk()


def test_two_actions_after_a_tap(clerk: Clerk) -> None:
    assert clerk.look() is Mode.IDLE
    assert clerk.insert() is Mode.CHOOSING
    assert clerk.keys("1") is Mode.CHOOSING
    assert clerk.desk.picked == PACK.id
    assert clerk.keys("Enter") is Mode.RESULT
    assert clerk.redeemed == 1
    assert clerk.keys("Enter") is Mode.IDLE


def test_enter_before_a_pick_does_nothing(clerk: Clerk) -> None:
    clerk.insert()
    assert clerk.keys("Enter") is Mode.CHOOSING
    assert clerk.redeemed == 0


def test_a_second_enter_while_the_first_is_under_way_does_nothing(clerk: Clerk) -> None:
    clerk.insert()
    clerk.keys("1")
    job = clerk.desk.key("Enter")
    assert isinstance(job, TapJob)
    assert clerk.desk.mode is Mode.BUSY
    assert clerk.desk.key("Enter") is None
    assert clerk.desk.key("F8") is None
    assert clerk.desk.key("2") is None
    clerk.do(job)
    assert clerk.look() is Mode.RESULT
    assert clerk.redeemed == 1


def test_after_a_problem_the_same_pick_keeps_its_nonce(clerk: Clerk) -> None:
    clerk.insert()
    clerk.keys("2")
    job = clerk.desk.key("Enter")
    assert isinstance(job, TapJob)
    clerk.desk.finished(job, problem="refused")
    assert clerk.desk.problem == "refused"
    again = clerk.desk.key("Enter")
    assert again == job, "a retry must be the same tap, or it could count twice"


def test_another_pick_is_another_tap(clerk: Clerk) -> None:
    clerk.insert()
    clerk.keys("1")
    first = clerk.desk.nonce
    clerk.keys("1")
    assert clerk.desk.nonce == first
    clerk.keys("2")
    assert clerk.desk.picked == CINEMA.id
    assert clerk.desk.nonce != first


def test_what_the_card_cannot_take_cannot_be_picked(clerk: Clerk) -> None:
    clerk.insert()
    clerk.keys("9")
    assert clerk.desk.picked == ""
    clerk.press("pick", "BJ-C-003")
    assert clerk.desk.picked == ""
    clerk.press("pick", "no-such-offer")
    assert clerk.desk.picked == ""


def test_a_pick_that_can_no_longer_be_taken_is_dropped(clerk: Clerk) -> None:
    clerk.insert()
    clerk.keys("3")
    assert clerk.desk.picked == TOMBS.id
    choices = tuple(one for one in clerk.desk.view.choices if one.offer is not TOMBS)
    clerk.terminal.change(COUNTER, choices=choices)
    clerk.look()
    assert clerk.desk.picked == ""
    assert clerk.keys("Enter") is Mode.CHOOSING


def test_arrows_walk_over_what_can_be_taken(clerk: Clerk) -> None:
    clerk.insert()
    clerk.keys("ArrowDown")
    assert clerk.desk.picked == PACK.id
    clerk.keys("ArrowDown", "ArrowDown")
    assert clerk.desk.picked == TOMBS.id
    clerk.keys("ArrowDown")
    assert clerk.desk.picked == PACK.id
    clerk.keys("ArrowUp")
    assert clerk.desk.picked == TOMBS.id


def test_a_new_card_ends_what_was_picked_and_searched(clerk: Clerk) -> None:
    clerk.insert()
    clerk.press("search", "sydy")
    clerk.keys("2")
    clerk.insert()
    assert (clerk.desk.picked, clerk.desk.query) == ("", "")


@pytest.mark.parametrize("query", ["十元", "sykdy", "SYK", "BJ-C-004", "cinema"])
def test_search_by_title_initials_number_or_english(clerk: Clerk, query: str) -> None:
    clerk.insert()
    clerk.press("search", query)
    assert [one.offer.id for one in clerk.desk.found] == [CINEMA.id]


def test_a_search_without_result_leaves_nothing_and_escape_clears_it(clerk: Clerk) -> None:
    clerk.insert()
    clerk.press("search", "zzz")
    assert clerk.desk.found == ()
    clerk.keys("ArrowDown", "Escape")
    assert len(clerk.desk.found) == 5


def test_the_result_stays_until_the_clerk_acts_or_a_new_card_comes(clerk: Clerk) -> None:
    clerk.insert()
    clerk.keys("1", "Enter")
    clerk.terminal.remove(COUNTER)
    clerk.terminal.advance(600_000)
    assert clerk.look() is Mode.RESULT
    assert clerk.insert() is Mode.CHOOSING


def test_void_right_after_a_mistake_needs_a_reason_and_enter(clerk: Clerk) -> None:
    clerk.insert()
    clerk.keys("1", "Enter")
    assert clerk.keys("F8") is Mode.VOIDING
    assert clerk.desk.void_picked == "N1"
    assert clerk.keys("Enter") is Mode.VOIDING
    assert clerk.terminal.totals(COUNTER).voided == 0, "a reason is required"
    clerk.keys("1")
    assert clerk.desk.void_reason == "wrong_offer"
    assert clerk.keys("Enter") is Mode.VOIDING
    assert clerk.desk.void_answer is not None
    assert clerk.terminal.totals(COUNTER).voided == 1
    assert clerk.keys("Enter") is Mode.IDLE


def test_void_of_one_of_several_is_chosen_by_number(clerk: Clerk) -> None:
    for digit in ("1", "2"):
        clerk.insert()
        clerk.keys(digit, "Enter", "Enter")
    assert clerk.keys("F8") is Mode.VOIDING
    assert clerk.desk.void_picked == ""
    clerk.keys("2")
    assert clerk.desk.void_picked == "N1", "newest first, so the second is the older"
    clerk.keys("Escape")
    assert clerk.desk.void_picked == ""
    clerk.keys("1", "2", "Enter")
    job = clerk.jobs[-1]
    assert isinstance(job, VoidJob)
    assert job.reason == "member_declined"


def test_a_void_sent_twice_keeps_its_own_nonce(clerk: Clerk) -> None:
    clerk.insert()
    clerk.keys("1", "Enter", "F8", "4")
    job = clerk.desk.key("Enter")
    assert isinstance(job, VoidJob)
    assert clerk.desk.key("Enter") is None
    clerk.desk.finished(job, problem="refused")
    assert clerk.desk.key("Enter") == job


def test_void_panel_without_anything_to_void_closes_again(clerk: Clerk) -> None:
    assert clerk.keys("F8") is Mode.VOIDING
    assert clerk.keys("1", "Enter") is Mode.VOIDING
    assert clerk.keys("Escape") is Mode.IDLE


def test_only_what_may_be_voided_can_be_named(clerk: Clerk) -> None:
    clerk.insert()
    clerk.keys("1", "Enter", "F8")
    clerk.press("void-pick", "someone-elses-nonce")
    assert clerk.desk.void_picked == ""
    clerk.press("void-reason", "because")
    assert clerk.desk.void_reason == ""


def test_a_recovered_tap_stays_until_the_clerk_puts_it_away(clerk: Clerk) -> None:
    clerk.terminal.interrupted(COUNTER, recorded=True)
    assert clerk.look() is Mode.RESULT
    assert clerk.keys("Enter") is Mode.IDLE
    assert isinstance(clerk.jobs[-1], AcknowledgeJob)
    assert clerk.terminal.last_unshown(COUNTER) is None


def test_what_a_refer_asks_is_answered_with_the_same_nonce(clerk: Clerk) -> None:
    clerk.insert("check")
    clerk.press("pick", PACK.id)
    nonce = clerk.desk.nonce
    assert clerk.keys("Enter") is Mode.RESULT
    assert clerk.redeemed == 0
    clerk.press("attest", " 身份证已核对 ")
    job = clerk.jobs[-1]
    assert isinstance(job, TapJob)
    assert job.nonce == nonce
    assert dict(job.evidence) == {"identity": "身份证已核对"}
    assert clerk.redeemed == 1


def test_nothing_but_a_refer_can_be_attested(clerk: Clerk) -> None:
    clerk.insert()
    clerk.keys("1", "Enter")
    clerk.press("attest", "x")
    assert clerk.redeemed == 1
    assert not any(isinstance(job, TapJob) and job.evidence for job in clerk.jobs)


def test_a_card_with_which_nothing_can_be_had_is_put_away_by_enter(clerk: Clerk) -> None:
    assert clerk.insert("blocked") is Mode.CHOOSING
    assert clerk.keys("1", "Enter") is Mode.IDLE
    assert clerk.redeemed == 0


def test_escape_goes_back_one_step_at_a_time(clerk: Clerk) -> None:
    clerk.insert()
    clerk.keys("1", "Escape")
    assert clerk.desk.picked == ""
    assert clerk.look() is Mode.CHOOSING
    assert clerk.keys("Escape") is Mode.IDLE


def test_upload_now_is_one_job_at_a_time(clerk: Clerk) -> None:
    job = clerk.desk.press("sync")
    assert isinstance(job, SyncJob)
    assert clerk.desk.press("sync") is None
    clerk.desk.finished(job)
    assert clerk.desk.press("sync") is not None


def test_an_answer_from_elsewhere_is_shown_too(clerk: Clerk) -> None:
    clerk.insert()
    clerk.terminal.tap(COUNTER, PACK.id, "from-the-command-line")
    assert clerk.look() is Mode.RESULT


def test_a_closed_terminal_still_voids(clerk: Clerk) -> None:
    clerk.insert()
    clerk.keys("1", "Enter")
    clerk.terminal.change(COUNTER, phase=Phase.CLOSED, closed_code="T02")
    assert clerk.look() is Mode.CLOSED
    assert clerk.keys("F8") is Mode.VOIDING


@pytest.mark.parametrize("key", ["F1", "a", "0", "Tab", "", "99", "<script>"])
def test_other_keys_do_nothing(clerk: Clerk, key: str) -> None:
    clerk.insert()
    before = replace(clerk.desk.view)
    assert clerk.desk.key(key) is None
    assert clerk.desk.press(key) is None
    assert (clerk.desk.picked, clerk.desk.view) == ("", before)
