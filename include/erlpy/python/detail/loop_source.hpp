// What is done with asyncio, in Python: the loop of a thread, the tasks of awaited calls, and the task that
// steps an async iterator from its first value to its close.
#ifndef ERLPY_PYTHON_DETAIL_LOOP_SOURCE_HPP
#define ERLPY_PYTHON_DETAIL_LOOP_SOURCE_HPP

namespace erlpy::python::detail {

// asyncio is imported when it is first needed: the import takes some 50 ms.
inline constexpr const char* loop_source = R"python(
import collections.abc as _abc


class _Steps(_abc.Coroutine):
    """A coroutine that shows to whoever interrupts when a step of it runs."""
    __slots__ = ('_coroutine', '_enter', '_leave', '__weakref__')

    def __init__(self, coroutine, enter, leave):
        self._coroutine = coroutine
        self._enter = enter
        self._leave = leave

    def send(self, value):
        self._enter()
        try:
            return self._coroutine.send(value)
        finally:
            self._leave()

    def throw(self, *raised):
        self._enter()
        try:
            return self._coroutine.throw(*raised)
        finally:
            self._leave()

    def close(self):
        self._coroutine.close()

    def __await__(self):
        return self._coroutine.__await__()


class _DriveSteps(_Steps):
    """Those of the task of a Drive."""
    __slots__ = ()


def new_loop(wake):
    """A loop that stops whenever something was written to the pipe `wake`."""
    import asyncio
    import os
    loop = asyncio.new_event_loop()

    def woken():
        os.read(wake, 4096)
        loop.stop()
    loop.add_reader(wake, woken)
    return loop


async def _await(awaitable):
    return await awaitable


def start_task(loop, awaitable, enter, leave):
    return loop.create_task(_Steps(_await(awaitable), enter, leave))


def finish_task(loop, task):
    try:
        while not task.done():
            task.add_done_callback(_stop)
            loop.run_forever()
            task.remove_done_callback(_stop)
        return task.result()
    finally:
        if not task.done():
            task.cancel()


def _stop(task):
    task.get_loop().stop()


def advance(loop, task):
    """Runs until the task is done, or somebody wakes the loop: whether it is done."""
    if not task.done():
        task.add_done_callback(_stop)
        try:
            loop.run_forever()
        except (SystemExit, KeyboardInterrupt) as error:
            if not task.done():  # of a task that somebody else left behind
                loop.call_exception_handler({'message': 'a background task raised', 'exception': error})
        finally:
            task.remove_done_callback(_stop)
    return task.done()


def cancel(what, by_force):
    """From another thread; `what` is a task or a Drive."""
    what.get_loop().call_soon_threadsafe(what.task.cancel if by_force else what.cancel)


def run_once(loop):
    if not loop.is_running():
        loop.call_soon(loop.stop)
        loop.run_forever()


def run_until_woken(loop):
    loop.run_forever()


def end_tasks(loop, limit):
    """Gives the drives, which were told to end, most of that many seconds; cancels what is left then."""
    if loop.is_running() or loop.is_closed():
        return
    import asyncio
    drives = {task for task in asyncio.all_tasks(loop) if isinstance(task.get_coro(), _DriveSteps)}
    _wait(loop, drives, 0.8 * limit)
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    _wait(loop, tasks, 0.1 * limit)


def _wait(loop, tasks, limit):
    if tasks:
        import asyncio
        # Not run_until_complete: what woke the loop before may stop it now.
        finish_task(loop, loop.create_task(asyncio.wait(tasks, timeout=limit)))


def close_loop(loop):
    if loop.is_running() or loop.is_closed():
        return
    try:
        finish_task(loop, loop.create_task(loop.shutdown_asyncgens()))
    finally:
        loop.close()


NEXT, SEND, RAISE, CLOSE = range(4)
VALUE, DONE, FAILED = range(3)


class Drive:
    """Steps an async iterator in one task, which also closes it.

    `order` says what to do next. The outcome is put into `kind` and `result`, and then told() is called in
    that task: by that call the next order may come already, and then the task goes on without a wait.
    """
    __slots__ = ('loop', 'task', 'kind', 'result', 'iterator', '_told', '_what', '_value', '_waiting',
                 '_stepping', '_over', '_alone')

    def __init__(self, loop, iterator, told, alone):
        self.loop = loop
        self._alone = alone
        self.kind = self.result = self._what = self._value = self._waiting = None
        self.iterator = iterator
        self._told = told
        self._stepping = self._over = False

    def order(self, what, value):
        if self._over:
            return  # user code has cancelled the task: what was told last stands
        self.kind = self.result = None
        self._what = what
        self._value = value
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def get_loop(self):
        return self.loop

    def cancel(self):
        """Cancels the step under way, once; the clean-up that this begins is not for cancelling."""
        if self._stepping:
            self._stepping = False
            self.task.cancel()

    def wait(self):
        """For who has the loop to itself: runs it until told() was called."""
        while self.kind is None:
            self.loop.run_forever()

    def end(self, limit=5.0):
        """Has the iterator closed; runs the loop up to that many seconds, if nobody does, until it is."""
        if self.task.done():
            return
        if self.loop.is_closed():
            self.task.get_coro().close()  # as far as that goes without waiting
            return
        if self._stepping or not self._alone:
            self.task.cancel()
        else:
            self.order(CLOSE, None)
        if self._alone and not self.loop.is_running():
            import asyncio
            # Other tasks may stop the loop meanwhile.
            finish_task(self.loop, self.loop.create_task(asyncio.wait([self.task], timeout=limit)))

    async def run(self):
        import asyncio
        failure = None
        try:
            while True:
                while self._what is None:
                    self._waiting = self.loop.create_future()
                    try:
                        await self._waiting
                    finally:
                        self._waiting = None
                what, value = self._what, self._value
                self._what = self._value = None
                if what == CLOSE:
                    break
                self._stepping = True
                try:
                    if what == NEXT:
                        result = await self.iterator.__anext__()
                    elif what == SEND:
                        result = await self.iterator.asend(value)
                    else:
                        result = await self.iterator.athrow(value)
                finally:
                    self._stepping = False
                value = None
                if self._tell(VALUE, result):
                    result = None
                    await asyncio.sleep(0)
                result = None
        except StopAsyncIteration:
            pass
        except BaseException as error:
            failure = error
        try:
            close = getattr(self.iterator, 'aclose', None)
            if close is not None:
                await close()
        except BaseException as error:
            failure = failure or error
        self._over = True
        if failure is None:
            self._tell(DONE, None)
        else:
            self._tell(FAILED, failure)
            failure = None

    def _tell(self, kind, result):
        self.kind = kind
        self.result = result
        return self._told()


def drive(loop, iterator, enter, leave, told):
    made = Drive(loop, iterator, told, False)
    made.task = loop.create_task(_DriveSteps(made.run(), enter, leave))
    return made


def drive_alone(loop, iterator):
    made = Drive(loop, iterator, loop.stop, True)
    made.task = loop.create_task(made.run())
    return made
)python";

}  // namespace erlpy::python::detail

#endif
