import { Duplex } from 'node:stream'

export { pipeline } from 'node:stream'

/** Makes two streams, each of which reads what the other one writes. */
export function duplexPair(): [Duplex, Duplex] {
  const left = new End()
  const right = new End()
  left.other = right
  right.other = left
  return [left, right]
}

class End extends Duplex {
  other: End | undefined

  override _read(): void {
    // The other stream pushes data when it is written.
  }

  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    this.other?.push(chunk)
    callback()
  }

  override _final(callback: () => void): void {
    this.other?.push(null)
    callback()
  }
}
