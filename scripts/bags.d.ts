/** [heading, file below lib/, name of the table, introduction, heading of the table that has its shared options] */
export declare const bags: readonly (readonly [string, string, string, string?, string?])[]
export declare function tableOf(file: string, name: string): { readonly fields: object }
