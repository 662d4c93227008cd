/** [heading, file below lib/, name of the table, what stands below the heading] */
export declare const bags: readonly (readonly [string, string, string, string?])[]
export declare function tableOf(file: string, name: string): { readonly fields: object }
