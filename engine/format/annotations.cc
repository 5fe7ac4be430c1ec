#include "engine/format/annotations.h"

#include <jack_engine/limits.h>

#include "engine/format/spec.h"

namespace jack {

void pack(Packer& packer, const AnnotationChanges& changes) {
  packer.map(changes.size());
  for (const AnnotationChange& change : changes) {
    packer.text(change.name);
    change.value ? packer.bytes(*change.value) : packer.nil();
  }
}

AnnotationChanges read_annotation_changes(Fields& fields) {
  AnnotationChanges changes;
  for (Fields list = fields.map(); list.more();) {
    AnnotationChange& change = changes.emplace_back();
    change.name = list.text();
    if (!list.nil()) change.value = list.bytes();
    if (list.failed()) fields.fail();
  }
  return changes;
}

std::size_t bytes_of(const AnnotationChanges& changes) {
  std::size_t bytes = 0;
  for (const AnnotationChange& change : changes) {
    bytes += 8 + change.name.size() + change.value.value_or(std::string_view()).size();
  }
  return bytes;
}

Result<Annotations> changed(Annotations annotations, const AnnotationChanges& changes) {
  for (const AnnotationChange& change : changes) {
    if (change.name.empty() || change.name.size() > kShortTextBytesMax ||
        !is_plain_text(change.name)) {
      return Error{Code::invalid_argument, "the name of an annotation must be 1–" +
                                               std::to_string(kShortTextBytesMax) +
                                               " bytes of UTF-8 without control characters"};
    }
    if (change.value) {
      annotations.insert_or_assign(std::string(change.name), std::string(*change.value));
    } else if (const auto at = annotations.find(change.name); at != annotations.end()) {
      annotations.erase(at);
    }
  }
  std::size_t bytes = 0;
  for (const auto& [name, value] : annotations) bytes += name.size() + value.size();
  if (annotations.size() <= kAnnotationsMax && bytes <= kAnnotationBytesMax) return annotations;
  return Error{Code::invalid_argument,
               "a task may have " + std::to_string(kAnnotationsMax) + " annotations of " +
                   std::to_string(kAnnotationBytesMax) + " bytes together, this one would have " +
                   std::to_string(annotations.size()) + " of " + std::to_string(bytes)};
}

}  // namespace jack
