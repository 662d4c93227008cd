/**
 * A host name that nobody has: one of its labels is longer than the 63 bytes that RFC 1035 allows, so that
 * no resolver asks a server for it, which may take longer than a test.
 */
export const UNKNOWN_HOST = `${'x'.repeat(64)}.invalid`
