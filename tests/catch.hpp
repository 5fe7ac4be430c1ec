// Catch2, version 2 or 3, whichever the system has. Tests include this file alone, and take from
// `test::` the names that differ. SKIP() and --list-test-names-only exist in one version only.
// Assertions are not thread-safe: they belong on the thread of the test.
#pragma once

#if __has_include(<catch2/catch_test_macros.hpp>)

#include <catch2/catch_approx.hpp>
#include <catch2/catch_message.hpp>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace test {
using Approx = Catch::Approx;
using Catch::Matchers::ContainsSubstring;
}  // namespace test

#else

#include <catch2/catch.hpp>

namespace test {
using Approx = Catch::Detail::Approx;
inline auto ContainsSubstring(const std::string& part) { return Catch::Matchers::Contains(part); }
}  // namespace test

#endif
