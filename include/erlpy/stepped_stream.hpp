// A Python iterable as a stream of some world: what is asked of it runs the coroutine of its steps, on its
// worker, as far as there is demand; values and ends go out through the world's half.
//
// Written once for every world. The half that knows the world is the base class, a stream_resident with:
//   enter(on), leave()        around the work on the worker; nothing of it is anybody else's to touch between
//   lend(), recover()         around a step, which may take its time: what was made is there for others to
//   take asked_step()              which step is asked for, once; then `next` asked_value(on)           the
//   Python value that goes with it; errors: what is wrong with it step_refused(on)          in a catch block:
//   that step cannot be done, and nothing has happened put(on, value)            a value was made; errors: it
//   cannot be converted flush(more)               what was put goes out; `more` will follow end_as_done(on,
//   result), end_as_error(on)   how it ended; the latter in a catch block. The first one stands ended() after
//   that, once: whoever wants to know is told settled()                 all that was asked for has gone out
#ifndef ERLPY_STEPPED_STREAM_HPP
#define ERLPY_STEPPED_STREAM_HPP

#include <atomic>
#include <memory>
#include <mutex>
#include <utility>

#include <erlpy/pool/thread_worker.hpp>
#include <erlpy/python/fork.hpp>
#include <erlpy/python/gil.hpp>
#include <erlpy/stream/iterate.hpp>
#include <erlpy/stream/iterate_async.hpp>
#include <erlpy/stream/signals.hpp>

namespace erlpy {

template <class World>
class stepped_stream final : public World {
 public:
  using World::World;

  // On the worker, from the job that made the object: opens an iterator of it. Errors: what that raises.
  void open(pool::thread_worker& on, const python::ref& object) {
    home_ = std::static_pointer_cast<pool::thread_worker>(on.shared_from_this());
    this->asynchronous_ = stream::is_async_iterable(object.get());
    if (this->asynchronous_) {
      iterator_ = stream::async_iterator(object.get());
      const python::ref driving = on.drive(*this, iterator_);
      set_driving(driving);
      steps_ = stream::iterate_async(driving);
    } else {
      iterator_ = python::checked(PyObject_GetIter(object.get()));
      steps_ = stream::iterate_sync(iterator_);
    }
    on.adopt(*this);
  }

  // pool::resident -----------------------------------------------------------------------------------------

  void run(pool::worker& on) noexcept override { proceed(on); }

  void proceed(pool::worker& runner) noexcept override {
    pool::thread_worker& on = pool::thread_worker::of(runner);
    const pool::job_ptr alive(this);
    if (const auto home = home_.lock(); home.get() != &on) {
      if (!home || home->abandoned() || !home->schedule(*this)) this->refuse(pool::refusal::replaced);
      return;
    }
    if (!iterator_) return;  // it has ended
    try {
      this->enter(on);
      if (produce(on)) (void)on.schedule(*this);
    } catch (...) {
      // Out of memory while it was told what happened: nobody waits for a message that cannot be made.
      this->refuse(pool::refusal::replaced);
      close_up(on);
    }
    this->leave();
  }

  void lose_loop(pool::worker& runner) noexcept override {
    pool::thread_worker& on = pool::thread_worker::of(runner);
    if (!waiting_) return;
    const pool::job_ptr alive(this);
    try {
      this->enter(on);
      try {
        PyErr_SetString(PyExc_RuntimeError, "the event loop of the worker was closed");
        throw python::exception::fetch();
      } catch (...) {
        this->end_as_error(on);
      }
      finish(on);
    } catch (...) {
      this->refuse(pool::refusal::replaced);
      close_up(on);
    }
    this->leave();
  }

  // The first time it is asked to close; the second time it has to be gone.
  void evict(pool::worker& from, pool::refusal why) noexcept override {
    const pool::job_ptr alive(this);
    this->refuse(why);
    (void)this->signals_.close();
    if (!iterator_) return;
    if (std::exchange(evicted_, true)) {
      close_up(pool::thread_worker::of(from));
    } else if (waiting_) {
      cancel_step(false);
    } else {
      proceed(from);
    }
  }

  void cancel_step(bool by_force) noexcept override {
    python::ref driving;
    {
      const std::lock_guard lock(mutex_);
      driving = driving_;
    }
    if (!driving) return;
    if (const auto home = home_.lock()) home->cancel(driving.get(), by_force);
  }

 private:
  ~stepped_stream() = default;

  // True: there is more to do, after others had their turn.
  [[nodiscard]] bool produce(pool::thread_worker& on) {
    for (;;) {
      if (!waiting_ && !closing_) {
        if (this->signals_.closing()) {
          closing_ = true;
        } else if (this->made_ >= this->signals_.open()) {
          this->flush(false);
          if (this->signals_.settle(std::exchange(this->made_, 0))) continue;
          this->settled();
          return false;
        }
      }
      stream::progress now{};
      try {
        if (!take_step(on, now)) continue;  // refused
      } catch (...) {
        this->end_as_error(on);
        finish(on);
        return false;
      }
      if (python::in_forked_child()) python::end_forked_child(nullptr);
      if (now == stream::progress::pending) {
        this->flush(true);
        return false;
      }
      if (now == stream::progress::done) {
        this->end_as_done(on, steps_.result());
        finish(on);
        return false;
      }
      if (!closing_ && !this->signals_.closing()) add_value(on);
      if (this->made_ < this->signals_.open() && on.slice_over()) {
        this->flush(true);
        const python::detached others;  // who has waited for the GIL has it now
        return true;
      }
    }
  }

  // False: what was asked cannot be done with this iterator, which the asker was told.
  [[nodiscard]] bool take_step(pool::thread_worker& on, stream::progress& now) {
    stream::command next{closing_ ? stream::step::close : stream::step::next, nullptr};
    if (!waiting_ && !closing_) {
      if (const stream::step asked = this->asked_step(); asked != stream::step::next) {
        try {
          next = asked_command(on, asked);
        } catch (...) {
          ++this->made_;
          this->step_refused(on);
          return false;
        }
      }
    }
    stepped_ = true;
    if (!waiting_) this->interrupted_ = false;
    this->lend();
    try {
      if (closing_ && !this->asynchronous_) {
        on.keep_house([&] { now = steps_.resume(std::move(next)); });
      } else {
        now = steps_.resume(std::move(next));
      }
    } catch (...) {
      this->recover();
      wait_for_step(on, false);
      throw;
    }
    this->recover();
    wait_for_step(on, now == stream::progress::pending);
    return true;
  }

  // Of send and throw, checked: nothing has happened to the iterator yet.
  [[nodiscard]] stream::command asked_command(pool::thread_worker& on, stream::step what) {
    python::ref value = this->asked_value(on);
    if (what == stream::step::raise) {
      value = python::checked(PyObject_CallFunctionObjArgs(on.context().home().helpers().make_exception.get(),
                                                           value.get(), PyModule_GetDict(on.name_space()),
                                                           nullptr));
    }
    stream::command asked{what, std::move(value)};
    if (this->asynchronous_) {
      stream::check_async(iterator_.get(), asked, !stepped_);
    } else {
      stream::check(iterator_.get(), asked);
    }
    return asked;
  }

  void add_value(pool::thread_worker& on) {
    ++this->made_;
    try {
      const python::ref given = std::move(steps_.value());
      stream::check_value(iterator_.get(), given.get());
      this->put(on, given);
    } catch (...) {
      this->end_as_error(on);
      closing_ = true;  // the iterator is closed, then the error is told
    }
  }

  // The coroutine has ended: whoever waits is told now, others when they ask next.
  void finish(pool::thread_worker& on) {
    close_up(on);
    this->ended();
  }

  // Lets go of all that is Python's.
  void close_up(pool::thread_worker& on) noexcept {
    wait_for_step(on, false);
    iterator_ = nullptr;  // first: what the end of the steps tells is not for going on
    steps_ = {};
    set_driving(nullptr);
    this->over_ = true;
    on.disown(*this);
  }

  void wait_for_step(pool::thread_worker& on, bool waiting) noexcept {
    if (std::exchange(waiting_, waiting) != waiting) on.wait_for_step(waiting);
  }
  void set_driving(python::ref driving) {
    const std::lock_guard lock(mutex_);
    std::swap(driving_, driving);
  }

  std::weak_ptr<pool::thread_worker> home_;

  // The worker's.
  stream::iteration steps_;
  python::ref iterator_;  // null: it has ended
  bool stepped_ = false;
  bool waiting_ = false;  // for a step of the task
  bool closing_ = false;
  bool evicted_ = false;

  std::mutex mutex_;  // a leaf
  python::ref driving_;  // what steps an async iterator
};

}  // namespace erlpy

#endif
