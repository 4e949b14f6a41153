%% What the tests of async generators share: an async source, and a client that must be left by the Task that
%% entered it.
-module(py_stream_task_test).

-export([define/0]).

define() ->
    ok = py:exec("
import asyncio, threading

tasks = []
events = []

def note(event):
    tasks.append(asyncio.current_task())
    events.append(event)

class Client:
    async def __aenter__(self):
        note('enter')
        self.task = asyncio.current_task()
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, kind, error, trace):
        if asyncio.current_task() is not self.task:
            raise RuntimeError('left by another Task than the one that entered')
        note('exit')
        await asyncio.sleep(0.001)
        note('left')

    async def receive(self, n):
        await asyncio.sleep(0.001)
        return n

async def through_client(n, pause_at=None):
    async with Client() as client:
        try:
            for i in range(n):
                if i == pause_at:
                    await asyncio.sleep(3600)
                note(i)
                yield await client.receive(i)
                note(('resumed', i))
        finally:
            note('finally')
            await asyncio.sleep(0.001)
            note('cleaned')

def one_task():
    return len(tasks) > 0 and tasks[0] is not None and all(task is tasks[0] for task in tasks)
").
