// A detached OS thread with a stack size of our choice, which std::thread does not offer.
#ifndef ERLPY_DETAIL_THREAD_HPP
#define ERLPY_DETAIL_THREAD_HPP

#include <pthread.h>
#include <time.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <erlpy/error.hpp>

namespace erlpy::detail {

// Runs `body` on a new detached thread. Its signal mask is its creator's, as with any thread: what it
// blocks, the programs that Python code starts from it would block too. `stack_size` is in bytes, `name` at
// most 15 characters. Error: erlpy::error if there is no thread to be had.
inline void start_thread(const char* name, std::size_t stack_size, std::function<void()> body) {
  struct start {
    std::function<void()> body;
    std::string name;
  };
  auto arguments = std::make_unique<start>(start{std::move(body), name});
  const auto entry = [](void* raw) -> void* {
    const std::unique_ptr<start> mine(static_cast<start*>(raw));
#ifdef __APPLE__
    pthread_setname_np(mine->name.c_str());
#else
    pthread_setname_np(pthread_self(), mine->name.c_str());
#endif
    mine->body();
    return nullptr;
  };

  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  int status = pthread_attr_setstacksize(&attributes, stack_size);
  if (status == 0) {
    pthread_t thread;
    status = pthread_create(&thread, &attributes, entry, arguments.get());
  }
  pthread_attr_destroy(&attributes);
  if (status != 0) throw error(std::string("cannot start a thread: ") + std::strerror(status));
  (void)arguments.release();  // the thread owns it now
}

// The processor time of one thread, read from others.
class processor_clock {
 public:
  // On the thread itself.
  void bind() noexcept {
#ifndef __APPLE__
    bound_.store(pthread_getcpuclockid(pthread_self(), &clock_) == 0);
#endif
  }
  // Any thread. Zero before bind(), after the thread's end, and where there is no such clock.
  [[nodiscard]] std::chrono::nanoseconds used() const noexcept {
    timespec now{};
    if (!bound_.load() || clock_gettime(clock_, &now) != 0) return std::chrono::nanoseconds::zero();
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  }

 private:
  clockid_t clock_{};
  std::atomic<bool> bound_{false};
};

}  // namespace erlpy::detail

#endif
