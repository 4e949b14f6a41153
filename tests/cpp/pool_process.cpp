// A pool of worker processes as its owner sees it: what is to be started, and what becomes of processes that
// do not come.
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <erlpy/pool/process_pool.hpp>

#include "catch.hpp"
#include "pool_support.hpp"

namespace {

using namespace pool_support;

// The owner of a pool of one worker, who starts no process.
class idle_owner {
 public:
  idle_owner() {
    pool::options settings;
    settings.kind = pool::isolation::process;
    settings.num_workers = 1;
    pool::pool_events events;
    events.started = [state = state_](std::size_t, const std::optional<std::string>&,
                                      const std::string& message) {
      const std::lock_guard lock(state->mutex);
      state->started.push_back(message);
    };
    events.launch = [state = state_](std::size_t, const std::string& told) {
      const std::lock_guard lock(state->mutex);
      state->launches.push_back(told);
    };
    events.stopped = [state = state_] {
      const std::lock_guard lock(state->mutex);
      state->stopped = true;
    };
    pool_ = std::make_shared<pool::process_pool>(std::move(settings), std::move(events));
  }
  idle_owner(const idle_owner&) = delete;
  idle_owner& operator=(const idle_owner&) = delete;
  ~idle_owner() {
    pool_->stop();
    CHECK(eventually([&] { return stopped(); }));
  }

  pool::process_pool* operator->() { return pool_.get(); }
  [[nodiscard]] std::vector<std::string> launches() {
    const std::lock_guard lock(state_->mutex);
    return state_->launches;
  }
  [[nodiscard]] std::vector<std::string> started() {
    const std::lock_guard lock(state_->mutex);
    return state_->started;
  }
  [[nodiscard]] bool stopped() {
    const std::lock_guard lock(state_->mutex);
    return state_->stopped;
  }

 private:
  struct state {
    std::mutex mutex;
    std::vector<std::string> started, launches;
    bool stopped = false;
  };
  std::shared_ptr<state> state_ = std::make_shared<state>();
  std::shared_ptr<pool::process_pool> pool_;
};

}  // namespace

TEST_CASE("whoever starts a worker again is told the same place, and never an empty one", "[process]") {
  idle_owner owner;
  for (int i = 0; i < 20; ++i) owner->start_worker(1);
  REQUIRE(eventually([&] { return !owner.launches().empty(); }));
  const auto before = owner.launches().size();
  owner->start_worker(1);
  REQUIRE(eventually([&] { return owner.launches().size() > before; }));
  for (const std::string& told : owner.launches()) CHECK(told == owner.launches().front());
  CHECK_FALSE(owner.launches().front().empty());
}

TEST_CASE("a process that ended before it came is a failed start, with what is known of it", "[process]") {
  idle_owner owner;
  owner->start_worker(1);
  REQUIRE(eventually([&] { return !owner.launches().empty(); }));
  owner->process_ended(1, "", "was another");
  owner->process_ended(1, "another place\nand secret\n", "was another");
  CHECK(owner.started().empty());
  owner->process_ended(1, owner.launches().front(), "exited with status 7");
  REQUIRE(eventually([&] { return !owner.started().empty(); }));
  CHECK(owner.started() ==
        std::vector<std::string>{"the worker process ended at once: exited with status 7"});
  CHECK(owner->stats().workers.front().state == pool::worker_state::down);

  owner->start_worker(1);
  REQUIRE(eventually([&] { return owner.launches().size() == 2; }));
  CHECK(owner.launches()[1] != owner.launches()[0]);
}

TEST_CASE("a pool that stops waits for no process", "[process]") {
  idle_owner owner;
  owner->start_worker(1);
  REQUIRE(eventually([&] { return !owner.launches().empty(); }));
  const auto began = std::chrono::steady_clock::now();
  owner->stop();
  CHECK(eventually([&] { return owner.stopped(); }));
  CHECK(std::chrono::steady_clock::now() - began < 5s);
}
