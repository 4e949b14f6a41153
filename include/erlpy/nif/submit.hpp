// From the arguments of py_nif:submit/6 to a queued job.
#ifndef ERLPY_NIF_SUBMIT_HPP
#define ERLPY_NIF_SUBMIT_HPP

#include <erl_nif.h>

#include <cstddef>
#include <optional>
#include <span>
#include <utility>

#include <erlpy/nif/job.hpp>
#include <erlpy/nif/library.hpp>
#include <erlpy/nif/object_search.hpp>
#include <erlpy/nif/pool_resource.hpp>
#include <erlpy/nif/refusal.hpp>
#include <erlpy/nif/weight.hpp>

namespace erlpy::nif {

class submission {
 public:
  // From here on a request's terms do not travel with its answer.
  static constexpr std::size_t heavy = 128;

  static constexpr unsigned flag_traceback = 1;
  static constexpr unsigned flag_atoms = 2;

  // argv: Pool, Worker, ReplyTo, Tag, Op, Flags
  submission(ErlNifEnv* env, const ERL_NIF_TERM* argv) noexcept
      : env_(env), argv_(argv), loaded_(library::current()), names_(loaded_.names) {}

  // The nodes of the request, at most `light_weight`.
  [[nodiscard]] std::size_t weigh() noexcept {
    weigher scales(env_, light_weight, names_.py_object, names_.generator);
    const std::size_t weight = scales.weigh(argv_[4]);
    noted_ = scales.noted();
    return weight;
  }

  // Copies and queues. The result of the NIF.
  [[nodiscard]] ERL_NIF_TERM queue(std::size_t weight) {
    pool_resource* const resource = loaded_.pools.get(env_, argv_[0]);
    unsigned flags = 0;
    call_job::address to;
    if (resource == nullptr) return refused(names_.stale);
    if (!enif_get_local_pid(env_, argv_[2], &to.reply_to) || !enif_get_uint(env_, argv_[5], &flags))
      return refused(names_.badarg);

    env_ptr own = make_env();
    request<ERL_NIF_TERM> asked;
    if (!parse(own.get(), enif_make_copy(own.get(), argv_[4]), asked)) return refused(names_.badarg);
    asked.traceback = (flags & flag_traceback) != 0;
    asked.keep_atoms = (flags & flag_atoms) != 0;
    if (argv_[3] != names_.job) to.tag = enif_make_copy(own.get(), argv_[3]);

    std::shared_ptr<pool::worker_pool> pool = resource->pool();
    std::optional<std::size_t> slot = asked_slot(*pool);
    if (const object_resource* const target = target_object(own.get(), asked)) {
      pool = target->home().pool.lock();
      if (!pool || target->gone()) return refused(names_.object_gone);
      slot = target->home().slot;
    } else if (!slot) {
      return refused(names_.badarg);
    } else if (const object_resource* const taken = argument_object(own.get(), asked, weight)) {
      const auto home = taken->home().pool.lock();
      if (!home || taken->gone()) return refused(names_.object_gone);
      // Objects of the main interpreter are known to every worker there.
      if (home->settings().kind != pool::isolation::shared ||
          pool->settings().kind != pool::isolation::shared) {
        pool = home;
        slot = taken->home().slot;
      }
    }

    const auto job = resource_ptr<call_job>::make(loaded_.jobs, pool);
    job->prepare(std::move(own), asked, to, weight >= heavy);
    if (!job->watch(env_)) return refused(names_.cancelled);
    const auto pushed = push(*pool, *job, *slot);
    if (pushed == pool::mailbox::push_result::queued)
      return enif_make_tuple3(env_, names_.ok, job.term(env_), enif_make_uint64(env_, *slot));
    job->unwatch(env_);
    if (pushed == pool::mailbox::push_result::full) return refused(names_.overload);
    return refused(no_pool_term(env_, names_, pool->settings().name));
  }

 private:
  [[nodiscard]] ERL_NIF_TERM refused(ERL_NIF_TERM reason) const noexcept {
    return enif_make_tuple2(env_, names_.error, reason);
  }

  // A slot, mailbox::any, or for `bind` the next in turn; none if it is not one of these.
  [[nodiscard]] std::optional<std::size_t> asked_slot(pool::worker_pool& pool) const noexcept {
    if (binds()) return pool.next_slot();
    ErlNifUInt64 number = 0;
    if (!enif_get_uint64(env_, argv_[1], &number) || number > pool.settings().num_workers)
      return std::nullopt;
    return number;
  }

  [[nodiscard]] bool binds() const noexcept { return argv_[1] == names_.bind; }

  // A caller that is to be bound may as well be bound to a worker that has room.
  [[nodiscard]] pool::mailbox::push_result push(pool::worker_pool& pool, call_job& job,
                                                std::size_t& slot) const {
    auto pushed = pool.submit(job, slot);
    for (std::size_t tried = 1;
         pushed == pool::mailbox::push_result::full && binds() && tried < pool.settings().num_workers;
         ++tried) {
      slot = pool.next_slot();
      pushed = pool.submit(job, slot);
    }
    return pushed;
  }

  // Reads the op() of py_nif.erl from `env`.
  [[nodiscard]] bool parse(ErlNifEnv* env, ERL_NIF_TERM op, request<ERL_NIF_TERM>& asked) const noexcept {
    int arity = 0;
    const ERL_NIF_TERM* raw = nullptr;
    if (!enif_get_tuple(env, op, &arity, &raw) || arity < 2) return false;
    const std::span<const ERL_NIF_TERM> parts(raw, static_cast<std::size_t>(arity));
    if (parts[0] == names_.stream && arity == 2) {
      asked.as_stream = true;
      return parse(env, parts[1], asked) && can_stream(asked.what);
    }
    if (parts[0] == names_.object && arity == 2) {
      asked.what = operation::object;
      asked.target = parts[1];
    } else if (parts[0] == names_.call && arity == 5) {
      asked.what = operation::call;
      asked.target = parts[1];
      asked.function = parts[2];
      asked.arguments = parts[3];
      asked.keywords = parts[4];
    } else if (parts[0] == names_.map && arity == 4) {
      asked.what = operation::map;
      asked.target = parts[1];
      asked.function = parts[2];
      asked.arguments = parts[3];
    } else if (parts[0] == names_.eval && arity == 3) {
      asked.what = operation::eval;
      asked.code = parts[1];
      asked.keywords = parts[2];
    } else if (parts[0] == names_.exec && arity == 2) {
      asked.what = operation::exec;
      asked.code = parts[1];
    } else if (parts[0] == names_.info) {
      return parse_info(env, parts, asked);
    } else {
      return false;
    }
    return true;
  }

  [[nodiscard]] static bool can_stream(operation what) noexcept {
    return what == operation::call || what == operation::eval || what == operation::object;
  }

  [[nodiscard]] bool parse_info(ErlNifEnv* env, std::span<const ERL_NIF_TERM> parts,
                                request<ERL_NIF_TERM>& asked) const noexcept {
    ErlNifSInt64 number = 0;
    if (parts.size() == 3 && !enif_get_int64(env, parts[2], &number)) return false;
    asked.number = number;
    const ERL_NIF_TERM what = parts[1];
    if (what == names_.version) {
      asked.what = operation::version;
    } else if (what == names_.memory_stats) {
      asked.what = operation::memory_stats;
    } else if (what == names_.gc) {
      asked.what = operation::gc;
    } else if (what == names_.tracemalloc_start) {
      asked.what = operation::tracemalloc_start;
    } else if (what == names_.tracemalloc_stop) {
      asked.what = operation::tracemalloc_stop;
    } else {
      return false;
    }
    return true;
  }

  [[nodiscard]] const object_resource* target_object(ErlNifEnv* env,
                                                     const request<ERL_NIF_TERM>& asked) const noexcept {
    int arity = 0;
    const ERL_NIF_TERM* parts = nullptr;
    if (asked.what != operation::call && asked.what != operation::map && asked.what != operation::object)
      return nullptr;
    if (!enif_get_tuple(env, asked.target, &arity, &parts) || arity != 2) return nullptr;
    return loaded_.lookup.find(env, parts[1]);
  }

  // An object among what the call takes: it has to run where that is.
  [[nodiscard]] const object_resource* argument_object(ErlNifEnv* env, const request<ERL_NIF_TERM>& asked,
                                                       std::size_t weight) const {
    if (weight < light_weight) return noted_ == 0 ? nullptr : loaded_.lookup.find(env_, noted_);
    for (const ERL_NIF_TERM part : {asked.arguments, asked.keywords}) {
      if (part == 0) continue;
      if (const object_resource* const found = find_object(env, part, loaded_.lookup)) return found;
    }
    return nullptr;
  }

  ErlNifEnv* env_;
  const ERL_NIF_TERM* argv_;
  const library& loaded_;
  const atoms& names_;
  ERL_NIF_TERM noted_ = 0;  // what looks like an object in a light request
};

}  // namespace erlpy::nif

#endif
