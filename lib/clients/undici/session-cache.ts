/** TLS sessions to resume: the latest one of each server, for a limited number of servers. */
export class SessionCache {
  readonly #limit: number
  readonly #sessions = new Map<string, Buffer>()

  constructor(limit: number) {
    this.#limit = limit
  }

  get(server: string): Buffer | undefined {
    return this.#sessions.get(server)
  }

  /** Drops the server with the oldest session if the cache is full. */
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
