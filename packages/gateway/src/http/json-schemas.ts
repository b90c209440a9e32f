import { z } from 'zod';

export type JsonSchema = { readonly [keyword: string]: unknown };

export interface JsonSchemaOptions {
  readonly target: 'draft-2020-12' | 'draft-7';
  /**
   * `input`: what a caller may send, closed against fields that are not of the contract. `output`: what the gateway sends,
   * left open: readers ignore fields that they don't know, so that a later version may add some.
   */
  readonly io: 'input' | 'output';
}

/** JSON Schemas of zod schemas by name; one that stands in another's place is a reference into `#/components/schemas`. */
export const jsonSchemas = (
  named: Readonly<Record<string, z.ZodType>>,
  { target, io }: JsonSchemaOptions,
): Record<string, JsonSchema> => {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(named)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, {
    target,
    io,
    unrepresentable: 'any',
    uri: (id) => `#/components/schemas/${id}`,
    override: ({ jsonSchema }) => {
      if (io === 'output' && jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
    },
  });
  return Object.fromEntries(
    Object.entries(schemas).map(([name, { $schema: _dialect, $id: _address, ...schema }]) => [name, schema]),
  );
};

/** `publish`, `Body` → `PublishBody`. */
export const schemaName = (name: string, suffix: string): string =>
  `${name.charAt(0).toUpperCase()}${name.slice(1)}${suffix}`;

export const reference = (name: string): JsonSchema => ({ $ref: `#/components/schemas/${name}` });
