// What people and programs note on tasks, in commands and messages: {name str: value bin|nil}.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <jack_engine/error.h>

#include "engine/format/pack.h"
#include "engine/format/unpack.h"

namespace jack {

using Annotations = std::map<std::string, std::string, std::less<>>;

// The annotation of this name gets the value, or is taken away.
struct AnnotationChange {
  std::string_view name;
  std::optional<std::string_view> value;
};
using AnnotationChanges = std::vector<AnnotationChange>;

void pack(Packer& packer, const AnnotationChanges& changes);
AnnotationChanges read_annotation_changes(Fields& fields);
std::size_t bytes_of(const AnnotationChanges& changes);

// Errors: invalid_argument  a name is none, or the task would have too many or too large ones
//                           (kAnnotationsMax, kAnnotationBytesMax)
Result<Annotations> changed(Annotations annotations, const AnnotationChanges& changes);

}  // namespace jack
