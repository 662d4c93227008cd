/** TLS sessions to resume: the newest one of each server, for as many servers as are allowed. */
export class SessionCache {
  readonly #limit: number
  readonly #sessions = new Map<string, Buffer>()

  constructor(limit: number) {
    this.#limit = limit
  }

  get(server: string): Buffer | undefined {
    return this.#sessions.get(server)
  }

  /** The server whose session is the oldest makes room. */
  set(server: string, session: Buffer): void {
    if (this.#limit === 0) return
    this.#sessions.delete(server)
    if (this.#sessions.size >= this.#limit) {
      const [oldest] = this.#sessions.keys()
      if (oldest !== undefined) this.#sessions.delete(oldest)
    }
    this.#sessions.set(server, session)
  }
}
