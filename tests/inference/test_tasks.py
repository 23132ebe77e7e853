"""Tasks of worker processes: how files are divided, and what is known after a process has ended."""

import os
from pathlib import Path

import pytest

from restorebox.inference.inputs import RestoreJob
from restorebox.inference.records import FileRecord
from restorebox.inference.tasks import TASK_BYTES, TASK_FILES, TRIES, Journal, divide, restore_task


def jobs(count):
    return [RestoreJob(Path(f'in/{i}.png'), Path(f'out/{i}.png')) for i in range(count)]


def restored(job):
    return FileRecord(str(job.source), str(job.target), 'restored', seconds=0.5, found={'veil': 2.0}, notes=('a', 'b'))


@pytest.mark.parametrize('count', [1, 2, 15, 16, 100, 5000])
@pytest.mark.parametrize('size', [10, TASK_BYTES // 7, TASK_BYTES + 1])
def test_tasks_have_each_file_once_and_are_bounded(count, size):
    files = jobs(count)
    tasks = list(divide(files, [size] * count, workers=2))
    assert [job for task in tasks for job in task] == files
    assert max(map(len, tasks)) <= min(TASK_FILES, max(1, TASK_BYTES // size), max(1, count // 16))


def test_tasks_have_a_multiple_of_the_batch_size():
    assert [len(task) for task in divide(jobs(600), [10] * 600, 2, batch_size=12)] == [48] * 12 + [24]


def test_a_journal_survives_a_process_that_ends_while_it_writes(tmp_path):
    files = [*jobs(2), RestoreJob(Path(os.fsdecode(b'in/\xff\n.png')), Path('out/x.png'))]
    kept = []
    journal = Journal(tmp_path / 'task', files, kept.append)
    journal.begin([0, 1, 2])
    journal.add(restored(files[2]))
    with open(journal.path, 'ab') as file:
        file.write(b'\n{"begin": [0')
    again = Journal(journal.path, files, kept.append)
    assert again.records == [restored(files[2])]
    assert again.tries == {0: 1, 1: 1, 2: 1}
    assert again.left == [0, 1]
    again.begin([1])
    assert Journal(journal.path, files, kept.append).tries[1] == 2


def test_a_file_that_ends_its_process_each_time_fails_and_the_others_are_restored_once(tmp_path):
    files, begun, kept = jobs(5), [], []

    class Ended(BaseException):
        pass

    def process():
        journal = Journal(tmp_path / 'task', files, kept.append)

        def restore(share):
            begun.append([str(job.source) for job in share])
            for job in share:
                if job is files[2]:
                    raise Ended
                journal.add(restored(job))

        return restore_task(journal, files, restore), journal.records

    for _ in range(TRIES):
        with pytest.raises(Ended):
            process()
    left, records = process()
    assert kept == records
    assert left == 3
    assert sorted(record.source for record in records) == sorted(str(job.source) for job in files)
    assert [record.status for record in records].count('failed') == 1
    failed = next(record for record in records if record.status == 'failed')
    assert failed.error.startswith(f'in/2.png: the worker process ended {TRIES} times')
    assert begun == [[str(job.source) for job in files], ['in/2.png'], ['in/2.png'], ['in/3.png'], ['in/4.png']]
