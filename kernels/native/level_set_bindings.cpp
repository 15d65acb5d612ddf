// Level sets, as Python calls them.
#include <pybind11/stl.h>

#include "errors.hpp"
#include "level_set.hpp"
#include "module.hpp"

namespace photopeak {
namespace {

using Array = py::array_t<float, py::array::c_style>;

Array distance_of(const Array& level, const std::array<float, 3>& spacing) {
  if (level.ndim() != 3 || level.size() == 0) throw UsageError("a level set has three axes, none of them empty.");
  Array distance({level.shape(0), level.shape(1), level.shape(2)});
  const LevelGrid grid{{level.shape(0), level.shape(1), level.shape(2)}, spacing};
  const float* const from = level.data();
  float* const to = distance.mutable_data();
  {
    py::gil_scoped_release released;
    signed_distance(grid, from, to);
  }
  return distance;
}

}  // namespace

void register_level_set(py::module_& m) {
  m.def("signed_distance", distance_of, py::arg("level").noconvert(), py::arg("spacing"));
}

}  // namespace photopeak
