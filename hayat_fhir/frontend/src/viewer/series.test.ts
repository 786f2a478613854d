import type { ImagingStudy } from "fhir/r4";
import { expect, test } from "vitest";
import { prior, type Stack, stackOf } from "./series";

const stack = (key: string, study: string, modality: string): Stack => ({ key, study, modality, label: "", number: 1, title: "", source: undefined, date: "", path: "", images: [] });

test("the images of a series go by their numbers", () => {
  const instance = [{ uid: "1.3", number: 3, sopClass: {} }, { uid: "1.1", number: 1, sopClass: {} }, { uid: "1.2", number: 2, sopClass: {} }];
  const study: ImagingStudy = { resourceType: "ImagingStudy", id: "s", status: "available", subject: {}, identifier: [{ system: "urn:dicom:uid", value: "urn:oid:9.8" }] };
  const made = stackOf(study, { uid: "9.8.1", modality: { code: "CT" }, instance }, "", "City Clinic");
  expect(made.images).toEqual(["1.1", "1.2", "1.3"].map((uid) => `wadouri:/dicomweb/studies/9.8/series/9.8.1/instances/${uid}`));
  expect(made).toMatchObject({ study: "s", label: "CT", source: "City Clinic" });
});

test("beside a series goes the same modality of another study, before anything else", () => {
  const [now, same, mr, old] = [stack("a", "1", "CT"), stack("b", "1", "CT"), stack("c", "2", "MR"), stack("d", "3", "CT")];
  expect(prior([now, same, mr, old], now)).toBe(old);
  expect(prior([now, same, mr], now)).toBe(mr);
  expect(prior([now, same], now)).toBe(same);
  expect(prior([now], now)).toBeUndefined();
});
