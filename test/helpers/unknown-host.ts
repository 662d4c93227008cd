/**
 * A host name that cannot exist: one of its labels exceeds the 63 bytes of RFC 1035, so no resolver queries a server
 * for it, which could take longer than a test.
 */
export const UNKNOWN_HOST = `${'x'.repeat(64)}.invalid`
