import { LoadThread, MainThread } from '../../lib/clients/artillery/threads'
import { until } from '../helpers/until'

describe("the end of Artillery's worker threads", () => {
  async function heardOf(main: MainThread, threads: number): Promise<void> {
    await until(
      'the main thread has heard',
      () => main.open,
      (open) => open === threads,
    )
  }

  it('is noticed at once if no thread has generated load', async () => {
    await expect(new MainThread().leave()).resolves.toBeUndefined()
  })

  it('is noticed when the last thread that generated load has ended', async () => {
    const main = new MainThread(60_000)
    const [one, two] = [new LoadThread(1), new LoadThread(2)]
    await heardOf(main, 2)
    let over = false
    const end = main.leave().then(() => {
      over = true
    })
    await one.leave()
    await heardOf(main, 1)
    expect(over).toBe(false)
    await two.leave()
    await end
    expect(over).toBe(true)
  })

  it('does not depend on a thread that died', async () => {
    const main = new MainThread(10)
    const dead = new LoadThread(3)
    await heardOf(main, 1)
    await expect(main.leave()).resolves.toBeUndefined()
    await dead.leave()
  })
})
