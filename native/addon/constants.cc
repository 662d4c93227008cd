#include "../kernel/constants.h"

#include "exports.h"

namespace socket_tuner::addon {

Napi::Object Constants(Napi::Env env) {
  Napi::Object constants = Napi::Object::New(env);
  const kernel::ConstantTable table = kernel::Constants();
  for (size_t i = 0; i < table.count; i++) {
    const kernel::Constant& constant = table.first[i];
    constants.Set(constant.name, Napi::Number::New(env, constant.value));
  }
  return constants;
}

}  // namespace socket_tuner::addon
