import { Duplex } from 'node:stream'

export { pipeline } from 'node:stream'

/** Two streams, each of which reads what the other one writes. */
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
    // What the other end writes is pushed when it comes.
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
