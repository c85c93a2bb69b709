//! Which tiers cover a feature, and by which line.

use rustc_hash::FxHashMap;

use crate::{Access, FeatureNo, TierNo};

/// For each feature, the tiers that cover it in ascending order, each with its line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coverage {
    lines: FxHashMap<FeatureNo, Vec<(TierNo, usize)>>,
}

impl Coverage {
    /// The lines of a feature in the tiers that the caller may draw from.
    pub(crate) fn lines(
        &self,
        access: Access<'_>,
        feature: FeatureNo,
    ) -> impl Iterator<Item = usize> {
        let lines = self.lines.get(&feature).map_or(&[][..], Vec::as_slice);
        let (every, named) = match access {
            Access::All => (lines, &[][..]),
            Access::Tiers(tiers) => (&[][..], tiers),
        };
        let named = named.iter().filter_map(|tier| find(lines, *tier).ok()).map(|at| lines[at].1);
        every.iter().map(|&(_, line)| line).chain(named)
    }

    pub(crate) fn insert(&mut self, feature: FeatureNo, tier: TierNo, line: usize) {
        let lines = self.lines.entry(feature).or_default();
        match find(lines, tier) {
            Ok(at) => lines[at].1 = line,
            Err(at) => lines.insert(at, (tier, line)),
        }
    }

    pub(crate) fn remove(&mut self, feature: FeatureNo, tier: TierNo) {
        let Some(lines) = self.lines.get_mut(&feature) else { return };
        if let Ok(at) = find(lines, tier) {
            lines.remove(at);
        }
        if lines.is_empty() {
            self.lines.remove(&feature);
        }
    }
}

fn find(lines: &[(TierNo, usize)], tier: TierNo) -> Result<usize, usize> {
    lines.binary_search_by_key(&tier, |&(tier, _)| tier)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_sees_the_lines_of_its_tiers_alone() {
        let (feature, tier) = (FeatureNo::new(1), TierNo::new);
        let mut coverage = Coverage::default();
        for (number, line) in [(3, 30), (1, 10), (2, 20)] {
            coverage.insert(feature, tier(number), line);
        }
        let named = [tier(3), tier(9), tier(1)];
        let table = [
            (Access::All, vec![10, 20, 30]),
            (Access::Tiers(&named), vec![30, 10]),
            (Access::Tiers(&[]), vec![]),
        ];
        for (access, expected) in table {
            assert_eq!(coverage.lines(access, feature).collect::<Vec<_>>(), expected);
        }
        assert_eq!(coverage.lines(Access::All, FeatureNo::new(2)).count(), 0);
    }

    #[test]
    fn a_feature_without_tiers_is_forgotten() {
        let (feature, tier) = (FeatureNo::new(1), TierNo::new(1));
        let mut coverage = Coverage::default();
        coverage.insert(feature, tier, 1);
        coverage.remove(feature, TierNo::new(2));
        assert_eq!(coverage.lines(Access::All, feature).count(), 1);
        coverage.remove(feature, tier);
        coverage.remove(feature, tier);
        assert!(coverage.lines.is_empty());
    }
}
