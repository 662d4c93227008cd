export interface KernelVersion {
  readonly major: number
  readonly minor: number
}

/** Parses the release of uname(2): `6.18.44-generic` is 6.18. */
export function parseKernelVersion(text: string): KernelVersion | undefined {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(text) ?? []
  if (major === undefined || minor === undefined) return undefined
  return { major: Number(major), minor: Number(minor) }
}

/** @param since as `'6.8'` */
export function isBefore({ major, minor }: KernelVersion, since: string): boolean {
  const [first = 0, second = 0] = since.split('.').map(Number)
  return major < first || (major === first && minor < second)
}
