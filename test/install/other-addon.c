// An addon of an older version of this package (-DABI=1), or of something else (without).
#include <node_api.h>

NAPI_MODULE_INIT() {
#ifdef ABI
  napi_value abi;
  if (napi_create_int32(env, ABI, &abi) != napi_ok) return NULL;
  if (napi_set_named_property(env, exports, "abi", abi) != napi_ok) return NULL;
#else
  (void)env;
#endif
  return exports;
}
