/** Tests of runs that are aborted, the same in one process and with workers. */
import type { StressOptions, StressResult } from '../../lib/stress'
import { httpTarget } from './servers'

/** @param answered requests that are answered before the abortion */
export function itCanBeAborted(
  resultOf: (options: StressOptions) => Promise<StressResult>,
  answered: number,
): void {
  it('returns what was measured until then', async () => {
    const abort = new AbortController()
    let count = 0
    const { url } = await httpTarget((_request, response) => {
      // The first one tests the target.
      if (++count <= answered + 1) response.end()
      else abort.abort()
    })
    const { ended, requests } = await resultOf({
      target: url,
      durationMs: 60_000,
      signal: abort.signal,
    })
    expect(ended).toBe('aborted')
    expect(requests.answered).toBe(answered)
    expect(requests.aborted).toBeGreaterThan(0)
    expect(requests.failed).toBe(0)
  })

  it.each([
    ['if aborted before it begins', AbortSignal.abort()],
    ['if aborted during its warm-up', AbortSignal.timeout(50)],
  ])('returns an empty result %s', async (_when, signal) => {
    const { url } = await httpTarget()
    const result = await resultOf({ target: url, warmupMs: 60_000, signal })
    expect(result).toMatchObject({ ended: 'aborted', seconds: 0, requests: { planned: 0 } })
  })
}
