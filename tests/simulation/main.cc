// Runs simulations, and says how to repeat one that fails.
//
//   simulation [--seed N] [--seeds COUNT] [--steps N] [--without PART,…] [--twice COUNT]
//              [--no-shrink] [--verbose]
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "tests/simulation/world.h"

namespace jack::test {
namespace {

std::string command_of(const WorldOptions& options) {
  std::string line =
      "--seed " + std::to_string(options.seed) + " --steps " + std::to_string(options.steps);
  std::string parts;
  for (const std::string& part : options.without) parts += (parts.empty() ? "" : ",") + part;
  return parts.empty() ? line : line + " --without " + parts;
}

bool fails(const WorldOptions& options) { return !World(options).run().report.findings.empty(); }

// What still fails with less: fewer steps, fewer parts.
WorldOptions shrink(WorldOptions options) {
  for (const std::string_view part : kParts) {
    WorldOptions less = options;
    less.without.insert(std::string(part));
    if (fails(less)) options = less;
  }
  for (std::uint64_t cut = options.steps / 2; cut > 0; cut /= 2) {
    WorldOptions less = options;
    while (less.steps > cut) {
      less.steps -= cut;
      if (!fails(less)) break;
      options = less;
    }
  }
  return options;
}

void print(const Verdict& verdict) {
  for (const Finding& finding : verdict.report.findings) {
    std::cout << "  " << finding.property << ": " << finding.text << "\n";
  }
}

}  // namespace
}  // namespace jack::test

int main(int argc, char** argv) {
  using namespace jack::test;
  WorldOptions options;
  std::uint64_t seeds = 1;
  bool verbose = false;
  bool keep = false;
  std::uint64_t twice = 0;
  std::vector<std::string> without;
  CLI::App app{"simulates installations of JACK with all that can go wrong, each from one seed"};
  auto* const seed = app.add_option("--seed", options.seed, "the first seed; else a random one");
  app.add_option("--seeds", seeds, "how many, one after the other");
  app.add_option("--steps", options.steps, "things that happen before the faults end");
  app.add_option("--without", without, "parts to leave out")
      ->delimiter(',')
      ->check(CLI::IsMember(std::set<std::string>(std::begin(kParts), std::end(kParts))));
  app.add_option("--twice", twice, "so many of the seeds run twice, and must do the same");
  app.add_flag("--verbose", verbose, "show what the engines said, and each seed's numbers");
  app.add_flag("--no-shrink", keep, "show a failure as it was found");
  CLI11_PARSE(app, argc, argv);
  options.without = {without.begin(), without.end()};
  if (seed->count() == 0) options.seed = std::random_device{}();
  const std::uint64_t first = options.seed;

  const auto began = std::chrono::steady_clock::now();
  std::uint64_t steps = 0;
  std::uint64_t failed = 0;
  std::map<std::string, std::uint64_t> faults;
  Report all;
  for (std::uint64_t i = 0; i < seeds; ++i, ++options.seed) {
    World world(options);
    const Verdict verdict = world.run();
    steps += verdict.steps;
    for (const auto& [name, count] : verdict.faults) faults[name] += count;
    all.acknowledged += verdict.report.acknowledged;
    all.lost += verdict.report.lost;
    all.duplicated += verdict.report.duplicated;
    all.unexpected += verdict.report.unexpected;
    all.recovered += verdict.report.recovered;
    all.deliveries += verdict.report.deliveries;
    all.settled += verdict.report.settled;
    if (i < twice && World(options).run().hash != verdict.hash) {
      ++failed;
      std::cout << "FAILED " << command_of(options) << ": the same seed does not do the same\n";
    }
    if (verbose) {
      std::cout << command_of(options) << ": " << verdict.steps << " steps, hash " << std::hex
                << verdict.hash << std::dec << ", " << verdict.report.summary() << "\n";
    }
    if (verdict.report.findings.empty()) continue;
    ++failed;
    std::cout << "FAILED " << command_of(options) << "\n";
    print(verdict);
    if (verbose) std::cout << world.logs();
    if (keep) continue;
    const WorldOptions small = shrink(options);
    std::cout << "The same, smaller: ./dev simulate " << command_of(small) << "\n";
    print(World(small).run());
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  std::cout << seeds << " seeds from " << first << ", " << steps << " steps in " << seconds
            << " s; " << all.summary() << "\n";
  for (const auto& [name, count] : faults) std::cout << "  " << count << " " << name << "\n";
  std::cout << failed << " failed\n";
  return failed == 0 ? 0 : 1;
}
