// The values of a stream on their way to one message: filled by the worker between two steps of the
// coroutine, and on loan while a step runs, so that a caller that gives up meanwhile gets them.
#ifndef ERLPY_NIF_STREAM_CHUNK_HPP
#define ERLPY_NIF_STREAM_CHUNK_HPP

#include <erl_nif.h>

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include <erlpy/nif/env.hpp>

namespace erlpy::nif {

struct stream_chunk {
  env_ptr env = make_env();
  std::vector<ERL_NIF_TERM> values;

  // The values as a list of its environment; no values are left.
  [[nodiscard]] ERL_NIF_TERM take_list() {
    const ERL_NIF_TERM list =
        enif_make_list_from_array(env.get(), values.data(), static_cast<unsigned>(values.size()));
    values.clear();
    return list;
  }
};

class chunk_exchange {
 public:
  chunk_exchange() = default;
  chunk_exchange(const chunk_exchange&) = delete;
  chunk_exchange& operator=(const chunk_exchange&) = delete;
  ~chunk_exchange() { const std::unique_ptr<stream_chunk> left(lent_.load()); }

  // The worker, from now on: the chunk, a new one if the last was taken. Errors: std::bad_alloc.
  void recover() {
    if (mine_) return;
    mine_.reset(lent_.exchange(nullptr, std::memory_order_acq_rel));
    if (!mine_) mine_ = std::make_unique<stream_chunk>();
  }
  // After recover().
  [[nodiscard]] stream_chunk& mine() noexcept { return *mine_; }
  // The worker, before it does anything that may take its time.
  void lend() noexcept { lent_.store(mine_.release(), std::memory_order_release); }

  // Any thread: the chunk if it is on loan. Null: the worker is at it.
  [[nodiscard]] std::unique_ptr<stream_chunk> take() noexcept {
    return std::unique_ptr<stream_chunk>(lent_.exchange(nullptr, std::memory_order_acq_rel));
  }

 private:
  std::atomic<stream_chunk*> lent_{nullptr};  // owned
  std::unique_ptr<stream_chunk> mine_;
};

}  // namespace erlpy::nif

#endif
