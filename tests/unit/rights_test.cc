// What a key may do.
#include "engine/front/rights.h"

#include "tests/catch.hpp"

namespace jack {
namespace {

Rights rights(std::string_view scopes, std::string_view patterns = "*") {
  return Rights::parse(scopes, patterns).value();
}

std::string refusal(std::string_view scopes, std::string_view patterns = "*") {
  const Result<Rights> parsed = Rights::parse(scopes, patterns);
  if (parsed) return "taken";
  CHECK(parsed.error().code == Code::invalid_argument);
  return parsed.error().message;
}

TEST_CASE("rights that were given to nobody allow nothing") {
  const Rights none;

  CHECK_FALSE(none.allows(Scope::read));
  CHECK_FALSE(none.allows(Scope::read, "mail"));
  CHECK(none.scopes().empty());
}

TEST_CASE("no scope implies another, admin neither") {
  const auto scope = GENERATE(Scope::submit, Scope::work, Scope::read, Scope::admin);
  const Rights one = rights(name_of(scope));

  for (const Scope other : {Scope::submit, Scope::work, Scope::read, Scope::admin}) {
    CHECK(one.allows(other) == (other == scope));
    CHECK(one.allows(other, "mail") == (other == scope));
    CHECK(Rights::all().allows(other, "mail"));
  }
}

TEST_CASE("without the right pattern a scope holds on no queue but on some") {
  const Rights some = rights("work", "review-*,mail");

  CHECK(some.allows(Scope::work));
  CHECK(some.allows(Scope::work, "mail"));
  CHECK(some.allows(Scope::work, "review-"));
  CHECK(some.allows(Scope::work, "review-code"));
  CHECK_FALSE(some.allows(Scope::work, "mails"));
  CHECK_FALSE(some.allows(Scope::work, "a-review-code"));
  CHECK_FALSE(some.allows(Scope::work, ""));
  CHECK_FALSE(some.allows(Scope::submit, "mail"));
  CHECK_FALSE(some.all_queues());
}

TEST_CASE("a pattern of stars alone means all queues, whatever stands beside it") {
  CHECK(rights("read", "mail,**").all_queues());
  CHECK(rights("read", "mail,**") == rights("read"));
  CHECK(rights("read").allows(Scope::read, "any"));
}

TEST_CASE("a star stands for any run of characters") {
  CHECK(matches("*", ""));
  CHECK(matches("a*", "a"));
  CHECK(matches("a*c", "abc"));
  CHECK(matches("a*c", "acc"));
  CHECK(matches("*b*", "abc"));
  CHECK(matches("*ab", "aaab"));
  CHECK(matches("a*b*c", "a-b-b-c"));
  CHECK(matches("a.c", "a.c"));
  CHECK_FALSE(matches("a.c", "abc"));
  CHECK_FALSE(matches("a*c", "ab"));
  CHECK_FALSE(matches("*ab", "aba"));
  CHECK_FALSE(matches("a*b*c", "acb"));
  CHECK_FALSE(matches("", "a"));
  CHECK_FALSE(matches("A", "a"));
}

// Each star that tried all places anew would take longer than the world has been there.
TEST_CASE("a pattern of many stars is decided at once") {
  std::string pattern;
  for (int i = 0; i < 63; ++i) pattern += "*a";

  CHECK(matches(pattern, std::string(128, 'a')));
  CHECK_FALSE(matches(pattern + "b", std::string(128, 'a')));
}

TEST_CASE("the texts of rights are read back as the same") {
  const Rights some = rights("admin,submit,submit", "review-*,mail,mail");

  CHECK(some.scopes_text() == "submit,admin");
  CHECK(some.patterns_text() == "review-*,mail");
  CHECK(rights(some.scopes_text(), some.patterns_text()) == some);
  CHECK(Rights::all().patterns_text() == "*");
  CHECK(rights(Rights::all().scopes_text(), Rights::all().patterns_text()) == Rights::all());
}

TEST_CASE("lists that are none are refused, and the wrong part is named") {
  CHECK_THAT(refusal("submit,wrok"), ::test::ContainsSubstring("'wrok' is no scope"));
  CHECK_THAT(refusal(""), ::test::ContainsSubstring("'' is no scope"));
  CHECK_THAT(refusal("read,"), ::test::ContainsSubstring("'' is no scope"));
  CHECK_THAT(refusal("Read"), ::test::ContainsSubstring("'Read'"));
  CHECK_THAT(refusal("read", ""), ::test::ContainsSubstring("'' is neither"));
  CHECK_THAT(refusal("read", "mail,,news"), ::test::ContainsSubstring("'' is neither"));
  CHECK_THAT(refusal("read", "a b"), ::test::ContainsSubstring("'a b' is neither"));
  CHECK_THAT(refusal("read", std::string(129, 'a')), ::test::ContainsSubstring("is neither"));
  CHECK(refusal("read", std::string(128, 'a')) == "taken");
}

TEST_CASE("a key has at most 64 patterns") {
  std::string list = "q";
  for (int i = 1; i < 64; ++i) list += ",q" + std::to_string(i);

  CHECK(refusal("read", list) == "taken");
  CHECK_THAT(refusal("read", list + ",one-more"), ::test::ContainsSubstring("more than 64"));
}

}  // namespace
}  // namespace jack
