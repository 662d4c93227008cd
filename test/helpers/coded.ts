/** Matches an error by its code. */
export function coded(code: string): Error {
  return expect.objectContaining({ code }) as Error
}
