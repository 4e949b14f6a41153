// A report on a file of orders, one JSON object a line: Python reads it, order by order, and C++ adds up.
//
//   orders DIRECTORY      where shop.py and orders.jsonl are
#include <chrono>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <erlpy/interpreter_pool.hpp>

namespace {

struct item {
  std::string sku;
  int quantity = 0;
  double price = 0;
};

struct person {
  std::string name;
  std::string country;
};

struct order {
  int id = 0;
  std::chrono::sys_seconds placed;
  person customer;
  std::vector<item> items;
  std::optional<double> coupon;  // the part that it takes off the price; may be missing

  [[nodiscard]] double total() const {
    double sum = 0;
    for (const item& each : items) sum += each.quantity * each.price;
    return sum * (1 - coupon.value_or(0));
  }
};

struct spread {
  double low = 0;
  double middle = 0;
  double high = 0;
};

}  // namespace

// For Boost before 1.84; later ones know the names by themselves.
template <>
struct erlpy::field_names<item> {
  static constexpr std::array<std::string_view, 3> value{"sku", "quantity", "price"};
};
template <>
struct erlpy::field_names<person> {
  static constexpr std::array<std::string_view, 2> value{"name", "country"};
};
template <>
struct erlpy::field_names<order> {
  static constexpr std::array<std::string_view, 5> value{"id", "placed", "customer", "items", "coupon"};
};
template <>
struct erlpy::field_names<spread> {
  static constexpr std::array<std::string_view, 3> value{"low", "middle", "high"};
};

int main(int argc, char** argv) try {
  const std::string directory = argc > 1 ? argv[1] : ".";
  erlpy::pool_options options;
  options.num_workers = 1;
  options.python_path = {directory};
  erlpy::interpreter_pool pool(options);

  std::map<std::string, double> by_country;
  std::map<std::string, int> sold;
  std::map<std::chrono::sys_days, double> by_day;
  std::vector<double> totals;
  for (const order& each : pool.stream<order>("shop", "orders", directory + "/orders.jsonl")) {
    const double total = each.total();
    totals.push_back(total);
    by_country[each.customer.country] += total;
    by_day[std::chrono::floor<std::chrono::days>(each.placed)] += total;
    for (const item& line : each.items) sold[line.sku] += line.quantity;
  }
  const spread middle = pool.call<spread>("shop", "spread", totals).get();

  std::printf("%zu orders on %zu days; half of them between %.2f and %.2f, the median is %.2f\n\n",
              totals.size(), by_day.size(), middle.low, middle.high, middle.middle);
  for (const auto& [country, sum] : by_country) std::printf("%-12s %10.2f\n", country.c_str(), sum);
  std::printf("\n");
  for (const auto& [sku, count] : sold) std::printf("%-12s %10d\n", sku.c_str(), count);
} catch (const erlpy::error& failed) {
  std::fprintf(stderr, "orders: %s\n", failed.what());
  return 1;
}
