import { mergeResults, reportHtml } from '../../lib/stress'
import { resultWith } from './report-results'

describe('the report of a run with workers', () => {
  it('has a row for each of them with its figures', () => {
    const { generator } = resultWith()
    const busy = resultWith({ generator: { ...generator, eventLoopBusy: 0.875 } })
    const page = reportHtml(mergeResults([resultWith(), busy]))
    const [, rows = ''] =
      /Processes, as they measured themselves[^]*?<tbody>([^]*?)<\/tbody>/.exec(page) ?? []
    const heads = Array.from(rows.matchAll(/<th scope="row">(.*?)<\/th>/g), ([, head]) => head)
    expect(heads).toEqual(['run 1', 'run 2'])
    const values = Array.from(rows.matchAll(/<data value="(.*?)">(.*?)<\/data>/g), ([, value]) =>
      Number(value),
    )
    expect(values).toEqual([
      300, 100, 0.25, 2, 0.30000000000000004, 300, 100, 0.875, 2, 0.30000000000000004,
    ])
    expect(rows.match(/n\/a/g)).toHaveLength(2)
  })

  it('has no such table for a run of one process', () => {
    expect(reportHtml(resultWith())).not.toContain('Processes, as they measured themselves')
  })
})
