"""The folder of a worker on a node of Ray: what a killed process has left there goes with the next one."""

from __future__ import annotations

from vsg_core.runs import ray_node


def test_the_folder_of_a_killed_process_is_removed_and_that_of_a_live_one_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    killed, lock = ray_node.own_folder()
    live, kept = ray_node.own_folder()
    (killed / "events.jsonl").write_text("{}")
    other = tmp_path / "vsg-other"
    other.mkdir()
    # As the system does when a process ends.
    lock.release(force=True)
    third, more = ray_node.own_folder()
    assert sorted(tmp_path.iterdir()) == sorted([live, other, third])
    for each in (kept, more):
        each.release()
