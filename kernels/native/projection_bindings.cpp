// Projectors, as Python calls them.
#include "module.hpp"

namespace photopeak {

void register_projection(py::module_&) {}

}  // namespace photopeak
